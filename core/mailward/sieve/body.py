"""What does the body say? (RFC 5173)"""

from collections.abc import Iterator

from mailward.formats.part import PartView
from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.matching import MATCHING, check_matching, matches
from mailward.sieve.running import Run, Step, Test


def _body(run: Run, step: Step) -> bool:
    use = step.tags.get("transform")
    kind = use.name if use else "text"
    values: Iterator[str]
    if run.message.root.body_start >= run.message.size_octets:  # without a body there is nothing to match
        values = iter(())
    elif kind == "raw":
        values = iter((run.message.body_octets.decode("utf-8", "replace"),))
    elif kind == "content":
        assert use is not None
        types = [written.lower() for written in run.texts(use.strings)]
        values = (value for part in run.message.parts() if _is_of(part, types) for value in _content(part))
    else:
        values = (text.text for text in run.message.texts())
    # RFC 5173 section 6: this test sets no match values.
    return matches(run, step, values, step.strings(0), sets_values=False)


def _is_of(part: PartView, types: list[str]) -> bool:
    """RFC 5173 section 5.2: "" is every type, "text" all of text/, what has several slashes or ends in one is none."""
    main = part.content_type.partition("/")[0]
    return any(wanted in ("", main, part.content_type) for wanted in types)


def _content(part: PartView) -> Iterator[str]:
    """RFC 5173 section 5.2: of a multipart what stands around its parts, of a message its header, else the content."""
    if part.is_multipart:
        children_start = part.preamble_end if part.preamble_end is not None else part.end
        yield part.between(part.body_start, children_start).decode("utf-8", "replace")
        if part.epilogue_start is not None:
            yield part.between(part.epilogue_start, part.end).decode("utf-8", "replace")
    elif part.is_message and part.children:
        yield part.children[0].header_octets.decode("utf-8", "replace")
    else:
        yield part.text


TESTS = (
    Test(
        "body",
        (Takes("key list", Shape.STRINGS),),
        (TagRule("raw", "transform"), TagRule("content", "transform", Shape.STRINGS), TagRule("text", "transform"), *MATCHING),
        "body",
        check=check_matching,
        holds=_body,
    ),
)
