"""Which header fields does a test look at? Those of the message, one of several of a name (RFC 5260 section 6), those of parts
(RFC 5703 section 4)."""

from collections.abc import Iterable, Iterator, Sequence

from mailward.formats.header import FieldView
from mailward.formats.parameters import parse_parameterised
from mailward.sieve.arguments import Shape, TagRule
from mailward.sieve.running import Checking, Run, Step

INDEX = (TagRule("index", takes=Shape.NUMBER, extension="index"), TagRule("last", extension="index"))
MIME = (TagRule("mime", extension="mime"), TagRule("anychild", extension="mime"))
MIME_VALUES = (
    TagRule("type", "mime-value", extension="mime"),
    TagRule("subtype", "mime-value", extension="mime"),
    TagRule("contenttype", "mime-value", extension="mime"),
    TagRule("param", "mime-value", Shape.STRINGS, "mime"),
)

_FIELD_CHARACTERS = 32
"""What a field of a part costs that is passed on the way."""


def check_fields(checking: Checking, step: Step) -> None:
    """:last says from where :index counts, :anychild and the others what :mime looks at."""
    tags = step.tags
    if "last" in tags and "index" not in tags:
        checking.problem(tags["last"].place, "the tag ':last' stands only beside ':index'")
    if "index" in tags and tags["index"].number == 0:
        checking.problem(tags["index"].place, "the tag ':index' counts from 1")
    for group in ("anychild", "mime-value"):
        if group in tags and "mime" not in tags:
            checking.problem(tags[group].place, f"the tag ':{tags[group].name}' stands only beside ':mime'")


def fields_of(run: Run, step: Step, name: str) -> Sequence[FieldView]:
    """The fields of this name, compared without case, that the tags of a test leave."""
    if "mime" not in step.tags:
        return indexed(step, run.message.all(name))
    part = run.part or run.message.root
    wanted = name.lower()
    fields = [field for one in (part.walk() if "anychild" in step.tags else (part,)) for field in one.fields]
    run.spending.look_through(_FIELD_CHARACTERS * len(fields))
    return indexed(step, [field for field in fields if field.name.lower() == wanted])


def indexed(step: Step, fields: Sequence[FieldView]) -> Sequence[FieldView]:
    """The one field that :index means, or all where there is no such tag."""
    use = step.tags.get("index")
    if use is None:
        return fields
    counted = fields[::-1] if "last" in step.tags else fields
    return counted[use.number - 1 : use.number] if use.number else ()


def texts_of(run: Run, step: Step, fields: Iterable[FieldView]) -> Iterator[str]:
    """What a header test compares of each field: all of it, or the part of a MIME field that its tag names."""
    use = step.tags.get("mime-value")
    for field in fields:
        if use is None:
            yield field.text
            continue
        run.spending.look_through(_FIELD_CHARACTERS * len(field.value))
        declared = parse_parameterised(field.value)
        main, _, subtype = declared.value.partition("/")
        if use.name == "param":
            for name in run.texts(use.strings):
                if (value := declared.parameters.get(name.lower())) is not None:
                    yield value
        else:
            yield {"type": main, "subtype": subtype, "contenttype": declared.value}[use.name]
