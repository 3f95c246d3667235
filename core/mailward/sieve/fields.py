"""Which header fields does a test look at? Those of the message, or one of several of a name (RFC 5260 section 6)."""

from collections.abc import Sequence

from mailward.formats.header import FieldView
from mailward.sieve.running import Checking, Run, Shape, Step, TagRule

INDEX = (TagRule("index", takes=Shape.NUMBER, extension="index"), TagRule("last", extension="index"))


def check_index(checking: Checking, step: Step) -> None:
    """:last says from where :index counts."""
    if "last" in step.tags and "index" not in step.tags:
        checking.problem(step.tags["last"].place, "the tag ':last' stands only beside ':index'")
    if "index" in step.tags and step.tags["index"].number == 0:
        checking.problem(step.tags["index"].place, "the tag ':index' counts from 1")


def fields_of(run: Run, step: Step, name: str) -> Sequence[FieldView]:
    """The fields of this name, compared without case, that the tags of a test leave."""
    return indexed(step, run.message.all(name))


def indexed(step: Step, fields: Sequence[FieldView]) -> Sequence[FieldView]:
    """The one field that :index means, or all where there is no such tag."""
    use = step.tags.get("index")
    if use is None:
        return fields
    counted = fields[::-1] if "last" in step.tags else fields
    return counted[use.number - 1 : use.number]
