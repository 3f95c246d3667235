"""What other projects state about their own messages is what we read there, or a sentence says why not.

The tree and its types, fields and their offsets, addresses, dates, identifiers, parameters, preambles, epilogues, bodies as they
stand and decoded, texts, names of files. The readers of each project's data are in tests/support/stated_*.py.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from support import stated_bodies, stated_contents, stated_mime4j, stated_stalwart, stated_trees
from support.stated import Statement, kind_of, opened

_LEAST = {
    "mime4j": 650,
    "stalwart-mail-parser": 3600,
    "mime-tools": 190,
    "kde-mimetreeparser": 27,
    "mimekit": 64,
    "james-mailbox": 72,
    "comm-central": 10,
    "kmime": 4,
    "gmime": 3,
    "content-md5": 2,
}
"""So many things each of them states at least; fewer would mean that its data is not understood any more."""


@dataclass(frozen=True)
class Rule:
    """A kind of difference: the sentence that makes ours right, and what tells that a difference is of this kind."""

    sentence: str
    explains: Callable[[Statement], bool]


@dataclass(frozen=True)
class Row:
    """Differences of some fixtures. items: of which parts and what, e.g. "[1] offsets"; both are regular expressions."""

    fixtures: str
    items: str
    sentence: str

    def explains(self, statement: Statement) -> bool:
        return bool(re.fullmatch(self.fixtures, statement.fixture) and re.fullmatch(self.items, statement.item))


def _no_field(statement: Statement) -> bool:
    """What they leave out are lines that are malformed fields for us."""
    ours, theirs = statement.ours, statement.theirs
    if not isinstance(ours, list) or not isinstance(theirs, list) or not statement.item.endswith("fields"):
        return False
    malformed = {field.raw.rstrip(b"\r\n") for part in statement.read.parts() for field in part.fields if field.is_malformed}
    left_out = [raw for raw in ours if raw not in theirs]
    return set(left_out) <= malformed and [raw for raw in ours if raw not in left_out] == theirs


def _without_parts(statement: Statement) -> bool:
    """For them it is an empty multipart, all of which is preamble; for us it is a text."""
    parts = opened(statement.read)
    empty = {place for place, part in parts.items() if "MULTIPART_WITHOUT_PARTS" in part.problems}
    if statement.item == "tree":
        kinds = {place: "multipart" if place in empty else kind_of(part) for place, part in parts.items()}
        return statement.theirs == kinds
    place, _, item = statement.item[1:].partition("] ")
    if place not in empty or item != "preamble" or not isinstance(statement.theirs, bytes):
        return False
    return parts[place].body_octets.startswith(statement.theirs.rstrip(b"\r\n"))


def _line_ends(statement: Statement) -> bool:
    ours, theirs = _lines(statement.ours), _lines(statement.theirs)
    return ours is not None and ours == theirs and "BARE_LF" in statement.read.anomalies


def _lines(value: object) -> str | bytes | None:
    if isinstance(value, bytes):
        return value.replace(b"\r\n", b"\n")
    return value.replace("\r\n", "\n") if isinstance(value, str) else None


def _unfolded(statement: Statement) -> bool:
    return isinstance(statement.theirs, str) and re.sub(r"\r?\n(?=[ \t])", "", statement.theirs) == statement.ours


def _invisible(statement: Statement) -> bool:
    """A soft hyphen in a word."""
    return (
        isinstance(statement.theirs, str) and statement.item == "word" and statement.theirs.replace("\xad", "") == statement.ours
    )


def _rest_of_a_group(statement: Statement) -> bool:
    ours, theirs = statement.ours, statement.theirs
    if not isinstance(ours, bytes) or not isinstance(theirs, bytes) or "BROKEN_BASE64" not in statement.read.anomalies:
        return False
    return ours.startswith(theirs) and len(ours) - len(theirs) in (1, 2)


RULES = {
    "no field": Rule(
        "RFC 5322 2.1: the header is separated from the body by an empty line; what is no field before that is kept as a malformed one",
        _no_field,
    ),
    "without parts": Rule(
        "RFC 2046 5.1: the body must contain one or more body parts; what has none is no multipart, and its text stays in sight",
        _without_parts,
    ),
    "line ends": Rule("what was received with a bare LF is not changed; an anomaly of that name tells of it", _line_ends),
    "unfolded": Rule(
        "RFC 5322 2.2.3: unfolding is accomplished by simply removing any CRLF that is immediately followed by WSP", _unfolded
    ),
    "invisible": Rule("what cannot be seen is left out of a word for people; an anomaly tells of it", _invisible),
    "rest of a group": Rule(
        'RFC 2045 6.8: only a "=" at the end assures that nothing was cut off; the octets that are there without it are kept',
        _rest_of_a_group,
    ),
}

_OUTER = (
    "RFC 2046 5.1.2: boundaries of outer multiparts are recognised at any level of inner nesting; there they end the inner ones"
)
_LINE_END = "RFC 2046 5.1.1: the CRLF preceding the boundary delimiter line is conceptually attached to the boundary"
_UTF_7 = "RFC 2152: UTF-7 is for where 8-bit is not safe, as it is everywhere now; in it markup hides from who looks for ASCII"
_UNNAMED = "octets beyond ASCII of which no charset is named are most likely western; a replacement character says nothing at all"

ROWS = (
    Row(
        r"mime4j/testmsgs/very-(?:very-)?long-boundary(?:_decoded)?",
        r"tree|\[\] epilogue|\[1\] (?:body|decoded)",
        "RFC 2046 5.1.1: boundaries must be no longer than 70 characters; of one of 700 or 7,000 the first 200 are looked for",
    ),
    Row(r"stalwart-mail-parser/legacy/001(?:\.crlf)?", r"\[\] (?:text|to Address|subject Text)", _UTF_7),
    Row(
        r"stalwart-mail-parser/legacy/(?:016|026)(?:\.crlf)?",
        r"\[[23]\] (?:text|content-type ContentType|content-disposition ContentType)",
        _UNNAMED,
    ),
    Row(
        r"stalwart-mail-parser/malformed/(?:001|009|011|012)(?:\.crlf)?",
        r"tree|\[1(?:\.2)*(?:\.1)?\] (?:offsets|text)",
        _OUTER,
    ),
    Row(
        r"stalwart-mail-parser/malformed/02[01](?:\.crlf)?",
        r"tree",
        "no RFC says which of two Content-Type fields counts; ours is the first, as for every field; an anomaly tells of it",
    ),
    Row(
        r"stalwart-mail-parser/malformed/022(?:\.crlf)?",
        r"tree|\[2\] offsets",
        "RFC 2046 5.2.1: message/rfc822 says that the body is an encapsulated message; its malformed header is still its header",
    ),
    Row(
        r"stalwart-mail-parser/thirdparty/005(?:\.crlf)?",
        r"\[5\] (?:offsets|text)",
        "RFC 2046 5.1.1: the boundary delimiter must occur at the beginning of a line",
    ),
    Row(
        r"stalwart-mail-parser/thirdparty/005\.crlf",
        r"\[1\] text",
        "an odd octet at the end of UTF-16 is no character, but neither does it vanish",
    ),
    Row(
        r"stalwart-mail-parser/thirdparty/010(?:\.crlf)?",
        r"\[\] content-type ContentType",
        'RFC 2045 5.1: parameters are separated by ";"; what follows a value without one belongs to no other parameter',
    ),
    Row(r"stalwart-mail-parser/thirdparty/011(?:\.crlf)?", r"\[1\] offsets", _LINE_END),
    Row(r"mime-tools/testmsgs/multi-nested2\.ref", r"\[5\.1\] Size", _LINE_END),
    Row(
        r"kde-mimetreeparser/openpgp-encrypted-(?:applemail|no-text-attachment)\.mbox\.tree",
        r"shape",
        "RFC 3156 4: OpenPGP encrypted data is of the content type multipart/encrypted, which this is not",
    ),
    Row(
        r"kde-mimetreeparser/smime-signed-encrypted\.mbox\.tree",
        r"shape",
        "RFC 8551 3.3: application/pkcs7-mime is one part; what its key would show is not in the message",
    ),
    Row(
        r"kde-mimetreeparser/(?:openpgp-encrypted-noData|openpgp-signed-mailinglist\+additional-children)\.mbox\.tree",
        r"shape",
        "RFC 1847 2: multipart/signed and multipart/encrypted contain exactly two parts; with one or three they have that type still",
    ),
    Row(
        r"kde-mimetreeparser/openpgp-signed-mailinglist\+old\.mbox\.tree",
        r"shape",
        "RFC 2045 5.2: without a Content-Type it is a text; KDE cuts out of it what an old list manager had pasted in",
    ),
    Row(
        r"kmime/data/codec_quoted-printable/corrupt4\.quoted-printable",
        r"decoded",
        'RFC 2045 6.7: a "=" that is the last character of a line is a soft line break, also where the body ends with it',
    ),
    Row(
        r"james-mailbox/htmlMail",
        r"htmlBody",
        "RFC 2046 5.1.4: clients show one of the alternatives, but not all the same one, so a filter reads each",
    ),
    Row(
        r"james-mailbox/james-3901",
        r"from|to",
        "RFC 5322 3.4: a mailbox is an addr-spec, or a name and one in angle brackets; a name alone is no address",
    ),
    Row(
        r"james-mailbox/emailWithNonIndexableAttachmentWithoutAttachment",
        r"type|htmlBody|attachments",
        'stated is what is left when the attachment is not indexed, not what the message has; "plain/text" is no media type',
    ),
)


@dataclass
class Found:
    """What the comparison found. used: the rules and rows that explained something."""

    counts: Counter[str]
    unexplained: list[Statement]
    used: set[object]


def _statements() -> Iterator[Statement]:
    for module in (stated_mime4j, stated_stalwart, stated_trees, stated_bodies, stated_contents):
        yield from module.statements()


@pytest.fixture(scope="module")
def found() -> Found:
    result = Found(Counter(), [], set())
    for statement in _statements():
        result.counts[statement.fixture.partition("/")[0]] += 1
        if not statement.is_so:
            _explain(statement, result)
    return result


def _explain(statement: Statement, result: Found) -> None:
    rules = [name for name, rule in RULES.items() if rule.explains(statement)]
    rows = [row for row in ROWS if row.explains(statement)] if not rules else []
    result.used.update(rules or rows)
    if not rules and not rows:
        result.unexplained.append(statement)


def test_what_is_stated_is_read_or_explained(found: Found) -> None:
    shown = "\n".join(map(str, found.unexplained[:100]))
    assert not found.unexplained, f"{len(found.unexplained)} differences have no explanation:\n{shown}"


@pytest.mark.parametrize("project", _LEAST)
def test_all_that_a_project_states_is_compared(project: str, found: Found) -> None:
    assert found.counts[project] >= _LEAST[project]


def test_every_explanation_is_still_needed(found: Found) -> None:
    assert [name for name in RULES if name not in found.used] == []
    assert [row for row in ROWS if row not in found.used] == []
