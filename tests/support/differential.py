"""Where do two readers of a message differ from Mailward, and does it say so? The standard library and fast-mail-parser.

Each reader's tree is brought into one form, `Node`. What is no difference between readings of the message, only between
libraries, is evened out here, each with its reason; everything else is a disagreement, and Mailward must name an anomaly.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

import fast_mail_parser

from mailward.formats.anomalies import ANOMALIES
from mailward.formats.header import unfold
from mailward.formats.message import MessageView
from mailward.formats.part import PartView

Fields = tuple[tuple[str, bytes], ...]
_BLANKS_AT_LINE_END = re.compile(rb"[ \t]++$", re.MULTILINE)
_BLANKS = re.compile(rb"[ \t\r\n]+")


@dataclass(frozen=True)
class Node:
    """content: decoded, of a leaf; None when this reader does not tell it. fields: lower-case names, unfolded values.

    is_quoted_printable: told by Mailward alone.
    """

    content_type: str
    fields: Fields | None
    content: bytes | None
    children: tuple["Node", ...] = field(default=())
    is_quoted_printable: bool = False

    def shape(self) -> object:
        return (self.content_type, tuple(child.shape() for child in self.children))


@dataclass(frozen=True)
class Disagreement:
    """reader: who reads it differently. what: "tree", "type", "content" or "fields". place: indexes from the root down."""

    reader: str
    what: str
    place: tuple[int, ...]
    ours: object
    theirs: object


def _is_message(content_type: str) -> bool:
    return content_type in ("message/rfc822", "message/global")


def ours(part: PartView) -> Node:
    """What Mailward reads."""
    made: dict[int, Node] = {}
    for each in reversed(list(part.walk())):
        children = tuple(made[id(child)] for child in each.children)
        fields = tuple((found.name.lower(), _even(found.value)) for found in each.fields)
        made[id(each)] = Node(
            each.content_type, fields, None if children else each.decode(), children, each.encoding == "quoted-printable"
        )
    return made[id(part)]


def _even(value: bytes) -> bytes:
    """Readers differ in which blanks a fold leaves (RFC 5322 section 2.2.3); no meaning hangs on it."""
    return _BLANKS.sub(b" ", value).strip()


def stdlib(octets: bytes) -> Node:
    """What the standard library reads, with the policy compat32."""
    return _of_stdlib(BytesParser(policy=compat32).parsebytes(octets))


def _of_stdlib(message: "Message[str, str]") -> Node:
    content_type = message.get_content_type()
    fields = tuple(
        (name.lower(), _even(unfold(str(value).encode("ascii", "surrogateescape")))) for name, value in message.raw_items()
    )
    payload = message.get_payload()
    if content_type.startswith("message/") and not _is_message(content_type):
        # It opens every message/*, so a delivery status becomes a list of headers (RFC 3464 section 2.1: it is text).
        return Node(content_type, fields, None)
    if isinstance(payload, list):
        return Node(content_type, fields, None, tuple(_of_stdlib(child) for child in payload if isinstance(child, Message)))
    return Node(content_type, fields, message.get_payload(decode=True))  # type: ignore[arg-type]


def fast(octets: bytes) -> Node:
    """What fast-mail-parser reads."""
    return _of_fast(fast_mail_parser.parse_email_tree(octets))


def _of_fast(part: fast_mail_parser.PyMimePart) -> Node:
    # It groups the fields by their names, and decodes the values.
    fields = tuple((name.lower(), _even(value.encode())) for name, values in part.headers.items() for value in values)
    return Node(part.content_type.lower(), fields, part.content, tuple(_of_fast(child) for child in part.children))


READERS: dict[str, Callable[[bytes], Node]] = {"stdlib": stdlib, "fast": fast}


def differences(reader: str, we: Node, they: Node) -> Iterator[Disagreement]:
    """Where two trees differ; below a place where the children differ in number nothing is compared."""
    waiting: list[tuple[tuple[int, ...], Node, Node]] = [((), we, they)]
    while waiting:
        place, a, b = waiting.pop()
        if a.content_type != b.content_type:
            yield Disagreement(reader, "type", place, a.content_type, b.content_type)
        if a.fields is not None and b.fields is not None:
            x, y = (a.fields, b.fields) if reader == "stdlib" else _comparable(a.fields, b.fields)
            if x != y:
                yield Disagreement(reader, "fields", place, *_first_difference(x, y))
        if len(a.children) != len(b.children):
            yield Disagreement(reader, "tree", place, a.shape(), b.shape())
            continue
        if a.content is not None and b.content is not None and not _same(a, b.content):
            yield Disagreement(reader, "content", place, a.content, b.content)
        waiting.extend(((*place, n), *pair) for n, pair in enumerate(zip(a.children, b.children, strict=True)))


def _same(we: Node, theirs: bytes) -> bool:
    if we.is_quoted_printable:
        # RFC 2045 section 6.7 (3): blanks at the end of a line are nobody's content, yet some keep them. Some write CRLF after
        # each line whatever was there, and make a line end of a soft one with nothing behind it.
        return _lines(we.content or b"") == _lines(theirs)
    return we.content == theirs


def _lines(octets: bytes) -> bytes:
    return _BLANKS_AT_LINE_END.sub(b"", octets.replace(b"\r\n", b"\n")).rstrip(b"\n")


def _comparable(we: Fields, they: Fields) -> tuple[Fields, Fields]:
    """Sorted, since the order is not told; of values that they may have decoded nothing but that they are there."""
    decoded = {name for name, value in we if b"=?" in value or not value.isascii()}

    def evened(fields: Fields) -> Fields:
        return tuple(sorted((name, b"" if name in decoded else value) for name, value in fields))

    return evened(we), evened(they)


def _first_difference(a: Fields, b: Fields) -> tuple[object, object]:
    at = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[at : at + 1], b[at : at + 1]


def disagreements(octets: bytes) -> list[Disagreement]:
    """Everything in which another reader differs from Mailward. A reader that fails has read nothing."""
    we = ours(MessageView(octets).root)
    found: list[Disagreement] = []
    for name, read in READERS.items():
        try:
            they = read(octets)
        except (RecursionError, ValueError, LookupError, KeyError, AttributeError, TypeError, fast_mail_parser.ParseError):
            continue
        found.extend(differences(name, we, they))
    return found


_HEADER_REASONS = frozenset({"MALFORMED_FIELD", "LEADING_CONTINUATION"})
"""Anomalies of the header that let another reader see another Content-Type, or another end of the header."""


def explains(anomaly: str, what: str) -> bool:
    """Whether an anomaly can be the reason of such a disagreement."""
    kind = ANOMALIES[anomaly].kind
    if what == "fields":
        return (
            anomaly in _HEADER_REASONS
            or anomaly in ("BARE_CR", "HEADER_8BIT", "NUL")
            or kind in ("structure", "content", "budget")
        )
    return kind in ("structure", "content", "budget") or anomaly in _HEADER_REASONS or anomaly == "BARE_CR"


def unexplained(octets: bytes) -> list[Disagreement]:
    """The disagreements for which Mailward names no anomaly that could be their reason."""
    found = disagreements(octets)
    names = MessageView(octets).anomalies if found else ()
    return [one for one in found if not any(explains(name, one.what) for name in names)]
