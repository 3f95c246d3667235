"""Every message of the corpora as a real Dovecot describes and cuts it: equal, or an RFC sentence says why not.

Dovecot keeps its own copy of each message (CRLF line ends, 0x80 for NUL); what it gives back as BODY[] is what we read.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import pytest

from mailward.formats.message import MessageView
from mailward.formats.part import PartView
from mailward.formats.sections import SectionKind, section_span
from mailward.formats.words import decode_words
from support.corpora import corpus, corpus_members
from support.dovecot import dovecot
from support.dovecot_reading import DovecotReader
from support.imap_cases import CASES
from support.imap_data import Data
from support.imap_differences import Difference, differences

_NO_MESSAGES = (".xml", ".json")
"""Data about the messages beside them: event streams and expected readings."""


@dataclass(frozen=True)
class Rule:
    """A kind of difference: the sentence that makes ours right, and what tells that a difference is of this kind."""

    sentence: str
    explains: Callable[[Difference, MessageView], bool]


@dataclass(frozen=True)
class Row:
    """Differences of some fixtures. items: of which parts and what, e.g. "[1] parameters"; all by regular expressions."""

    fixtures: str
    items: str
    sentence: str

    def explains(self, difference: Difference) -> bool:
        return bool(
            re.fullmatch(self.fixtures, difference.fixture) and re.fullmatch(self.items, f"[{difference.part}] {difference.item}")
        )


_MADE_UP = re.compile(r"MISSING_MAILBOX|MISSING_DOMAIN|SYNTAX_ERROR")
_ONCE = {"date": "Date", "subject": "Subject", "message-id": "Message-ID", "in-reply-to": "In-Reply-To"}


def _strings(data: Data) -> Iterator[str]:
    """Every string in the data as text, NIL as "None"."""
    if isinstance(data, list):
        for each in data:
            yield from _strings(each)
    else:
        yield decode_words(data) if isinstance(data, bytes) else str(data)


def _texts(data: Data) -> list[str]:
    return [_MADE_UP.sub("", text) for text in _strings(data)]


def _in_other_form(difference: Difference, view: MessageView) -> bool:
    in_words = difference.item.startswith("envelope ") or difference.item in ("id", "description", "location", "md5")
    return in_words and _texts(difference.ours) == _texts(difference.theirs)


def _with_other_blanks(difference: Difference, view: MessageView) -> bool:
    ours, theirs = ([" ".join(text.split()) for text in _texts(each)] for each in (difference.ours, difference.theirs))
    return difference.item.startswith("envelope ") and ours == theirs


def _of_another_field(difference: Difference, view: MessageView) -> bool:
    part = _part(view, difference.part)
    name = _ONCE.get(difference.item.removeprefix("envelope "), "")
    message = part.children[0] if part is not None and part.is_message and difference.part else part
    found = [" ".join(field.text.split()) for field in message.fields if field.name.lower() == name.lower()] if message else []
    ours, theirs = ([" ".join(text.split()) for text in _texts(each)] for each in (difference.ours, difference.theirs))
    return len(found) > 1 and ours == found[:1] and theirs == found[-1:]


def _part(view: MessageView, number: str) -> PartView | None:
    """The part with this number; the root of a message of one part is its part 1."""
    parts = {part.number: part for part in view.root.walk()}
    return parts.get(number) or (view.root if number == "1" and not view.root.is_multipart else None)


def _header_without_empty_line(difference: Difference, view: MessageView) -> bool:
    """Dovecot makes an empty line up, or reads on behind the delimiter that ended the header."""
    header = section_span(view, _path(difference), "HEADER")
    is_open = header is not None and not re.search(rb"(?:^|\n)\r?\n\Z", view.octets[header[0] : header[1]])
    is_longer = _octets(difference.theirs).startswith(_octets(difference.ours))
    return is_open and is_longer and difference.item in ("HEADER.FIELDS", "HEADER.FIELDS.NOT")


def _path(difference: Difference) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", difference.part)))


def _octets(data: Data) -> bytes:
    return data if isinstance(data, bytes) else b""


def _line_end_of_the_delimiter(difference: Difference, view: MessageView) -> bool:
    kinds: dict[str, SectionKind] = {"size": "", "lines": "", "BODY": "", "TEXT": "TEXT"}
    span = section_span(view, _path(difference), kinds[difference.item]) if difference.item in kinds else None
    if span is None or view.octets[span[1] : span[1] + 4] != b"\r\n--":
        return False
    ours, theirs = difference.ours, difference.theirs
    if isinstance(ours, int) and isinstance(theirs, int):
        return theirs - ours == (2 if difference.item == "size" else 1)
    return theirs == _octets(ours) + b"\r\n"


def _no_media_type(difference: Difference, view: MessageView) -> bool:
    part = _part(view, difference.part)
    if part is None or part.content_type != "text/plain" or difference.described.get("subtype") != b"":
        return False
    is_malformed = bool(part.problems & {"MALFORMED_CONTENT_TYPE", "MALFORMED_PARAMETER"}) or not part.declared_type.value
    return is_malformed and difference.item in ("type", "subtype", "lines", "parameters")


def _no_such_encoding(difference: Difference, view: MessageView) -> bool:
    part = _part(view, difference.part)
    is_ours = part is not None and "MALFORMED_ENCODING" in part.problems and part.encoding not in ("7bit", "8bit", "binary")
    return is_ours and difference.item == "encoding" and difference.theirs == b"7bit"


def _extended(difference: Difference, view: MessageView) -> bool:
    """Only how an extended value is written: what is no attribute-char is an ext-octet."""
    return difference.item in ("parameters", "disposition") and _plain(difference.ours) == _plain(difference.theirs)


def _plain(data: Data) -> list[tuple[bytes, bytes]]:
    pairs = data
    if isinstance(data, list) and data and isinstance(data[0], bytes):
        pairs = data[1]
    found = []
    for pair in pairs if isinstance(pairs, list) else []:
        assert isinstance(pair, list)
        name, value = _octets(pair[0]), _octets(pair[1])
        value = unquote_to_bytes(value.split(b"'", 2)[-1]) if name.endswith(b"*") else value
        found.append((name.rstrip(b"*"), value))
    return sorted(found)


def _multipart_without_parts(difference: Difference, view: MessageView) -> bool:
    """Dovecot makes up an empty part; for us the whole is a text."""
    if difference.item != "tree":
        return False
    expected = set()
    for part in view.root.walk():
        number = part.number or ("" if part.is_multipart else "1")
        expected.add(number)
        if not part.is_multipart and part.declared_type.value.startswith("multipart/") and not part.children:
            if part.parent is None:
                expected |= {"", "1"}
            elif part.parent.is_message:
                expected |= {number.removesuffix("1") + "TEXT", number}
            else:
                expected.add(f"{number}.1")
    return b" ".join(sorted(map(str.encode, expected))) == difference.theirs


RULES = {
    "other form": Rule(
        'RFC 9051 7.5.2: mailbox name and host name are what the address has, so what lacks one has ""; '
        "RFC 3501 4.3.1: octets beyond ASCII should only be sent where the charset is identified, as encoded-words do",
        _in_other_form,
    ),
    "blanks": Rule(
        "RFC 5322 2.2.3: unfolding is accomplished by simply removing any CRLF that is immediately followed by WSP",
        _with_other_blanks,
    ),
    "another field": Rule(
        "RFC 5322 3.6: the field may occur only once; the first one is what filters saw (one message, one reading)",
        _of_another_field,
    ),
    "empty line": Rule(
        "RFC 9051 6.4.5.1: the blank line is included, except in the case of a message that has no body and no blank line",
        _header_without_empty_line,
    ),
    "line end of the delimiter": Rule(
        "RFC 2046 5.1.1: the CRLF preceding the boundary delimiter line is conceptually attached to the boundary",
        _line_end_of_the_delimiter,
    ),
    "no media type": Rule(
        "RFC 2045 5.2: this default is also assumed if a syntactically invalid Content-Type header field is encountered",
        _no_media_type,
    ),
    "no such encoding": Rule(
        "RFC 2045 6.2: 7bit means that no encoding has been performed, which is not what the field says",
        _no_such_encoding,
    ),
    "extended value": Rule(
        "RFC 2231 7: an extended value is of attribute-chars and ext-octets; RFC 2231 4: that is how more than ASCII is written",
        _extended,
    ),
    "multipart without parts": Rule(
        "RFC 2046 5.1: the body must contain one or more body parts; what has none is no multipart, and its text stays in sight",
        _multipart_without_parts,
    ),
}

_TREE = r"\[\] tree|\[\] parameters|\[1\] (?:encoding|lines|size|BODY|MIME)"
_PARAMETERS = r"\[\d*\] (?:parameters|disposition)"

ROWS = (
    Row(
        r"own/digest-empty-type",
        r"\[\] tree",
        "RFC 2046 5.1.5: in a digest, the default Content-Type value for a body part is changed to message/rfc822",
    ),
    Row(
        r"own/global",
        r"\[\] tree",
        "RFC 9051 9: media-message is message/rfc822 or message/global, and both are followed by envelope, body and lines",
    ),
    Row(
        r"own/boundary-blank-end",
        r"\[1\] (?:lines|size|BODY)",
        "RFC 2046 5.1.1: bcharsnospace ends a boundary; a space at its end must be presumed to have been added by a gateway",
    ),
    Row(
        r"mime-evasion/hide-content/multipart-space_boundary-spaceonly-.*",
        r"\[\] tree",
        "RFC 2046 5.1.1: bcharsnospace ends a boundary, so this one is empty",
    ),
    Row(
        r"own/long200",
        r"\[\] tree",
        "RFC 2046 5.1.1: a line that is the boundary and two hyphens is the close delimiter; boundaries have up to 70 octets",
    ),
    Row(
        r"own/(?:deep40|deep101|deep-rfc822|parts-2100)",
        r"\[\] tree|\[\d+\] (?:lines|size|BODY)",
        "RFC 2046 sets no bound to depth and number of parts, so both servers have their own; what is beyond ours is in the last part",
    ),
    Row(
        r"mime/mikel-mail/(?:mime_emails/raw_email_with_binary_encoded|plain_emails/raw_email_bad_time)\.eml"
        r"|mime-evasion/hide-content/multipart-(?:hidekey-DBeBeb|quote_ME_full).*",
        _TREE,
        'RFC 2045 5.1: parameters are separated by ";"; what a value that should be quoted begins with is not its end',
    ),
    Row(
        r"mime-evasion/hide-content/multipart-(?:eq\.esc|escape_|quote_escaped|semicolon_inside_\w*escaped|hidekey-kvED).*"
        r"|mime-evasion/hide-filename/fname-ctype\.nE.*",
        rf"{_TREE}|{_PARAMETERS}",
        "RFC 822 3.3: quoted-pairs are in quoted-strings and comments only; elsewhere a backslash is itself, and hides nothing",
    ),
    Row(
        r"mime-evasion/hide-content/multipart-(?:rfc2231-(?:plain|enc)_|space_boundary-before_rfc2231).*",
        _TREE,
        "RFC 2231 3 and 4: a parameter may be given in sections and as an extended value, and is then what these say",
    ),
    Row(
        r"mime-evasion/hide-content/multipart-basic-singlepart-hdrstart_b64-vt-.*",
        r"\[\d\] encoding",
        "RFC 5322 3.6.8: no name of a field holds a VT, so no RFC says what this line is; ours is the one that filters read",
    ),
    Row(
        r"mime-evasion/hide-filename/fname-cdisp\.QnQx.*|mime/sympa/urlize-.*|clients/calendar/.*/testmsg-nested\.eml"
        r"|mime/stalwart-mail-parser/thirdparty/010\.eml",
        _PARAMETERS,
        'RFC 2045 5.1: parameters are separated by ";"; what follows a value without one belongs to no other parameter',
    ),
    Row(
        r"mime/comm-central/bug505221|mime/mikel-mail/error_emails/missing_body\.eml|mime/mimekit/messages/.*"
        r"|mime/mikel-mail/plain_emails/mix_caps_content_type\.eml|clients/tnef/mimekit/long-filename/message\.rtf",
        r"\[\d*\] envelope (?:from|sender|reply-to|to)",
        "RFC 5322 3.4: this is no address-list, so no RFC says what its addresses are; ours keeps all of the text in one of them",
    ),
    Row(
        r"mime/mikel-mail/plain_emails/raw_email_with_at_display_name\.eml",
        r"\[\] envelope to",
        "RFC 5322 3.4: the address of a name-addr is in its angle brackets, and the list goes on behind its comma",
    ),
)


@dataclass
class Found:
    """What the comparison found. used: the rules and rows that explained something."""

    messages: int
    unexplained: list[Difference]
    used: set[object]


def _messages() -> Iterator[tuple[str, dict[str, bytes]]]:
    yield "own", dict(CASES)
    for folder in ("mime", "mime-evasion", "clients"):
        for archive in sorted(corpus(folder).glob("*.tar.xz")):
            name = archive.name.partition(".")[0]
            members = corpus_members(folder, archive.name)
            yield (
                f"{folder}/{name}",
                {
                    member: octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                    for member, octets in members.items()
                    if octets and not member.endswith(_NO_MESSAGES)
                },
            )


@pytest.fixture(scope="module")
def found() -> Iterator[Found]:
    result = Found(0, [], set())
    with dovecot() as peer:
        reader = DovecotReader(peer)
        for folder, messages in _messages():
            reader.load(folder.replace("/", "-"), list(messages.values()))
            for number, (name, overview) in enumerate(zip(messages, list(reader.overviews()), strict=True), 1):
                octets = overview[b"BODY[]"]
                view = MessageView(_octets(octets))
                for each in differences(f"{folder}/{name}", view, overview, lambda wanted, n=number: reader.sections(n, wanted)):  # type: ignore[misc]
                    _explain(each, view, result)
                result.messages += 1
        reader.close()
    yield result


def _explain(difference: Difference, view: MessageView, result: Found) -> None:
    rules = [name for name, rule in RULES.items() if rule.explains(difference, view)]
    rows = [row for row in ROWS if row.explains(difference)] if not rules else []
    result.used.update(rules or rows)
    if not rules and not rows:
        result.unexplained.append(difference)


def test_t_imap_11_every_answer_is_that_of_dovecot_or_explained(found: Found) -> None:
    assert found.messages > 1300
    shown = "\n".join(map(str, found.unexplained[:200]))
    assert not found.unexplained, f"{len(found.unexplained)} differences have no explanation:\n{shown}"


def test_every_explanation_is_still_needed(found: Found) -> None:
    assert [name for name in RULES if name not in found.used] == []
    assert [row for row in ROWS if row not in found.used] == []
