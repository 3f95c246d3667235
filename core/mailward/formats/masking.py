"""What is a message like, without what it says and to whom? The same structure, with made-up words, names and addresses.

Kept: the names and order of header fields, media types, charsets and encodings, boundaries, dates, HTML tags, the size of
attachments and their first octets, capitals and punctuation of texts. Everything else becomes something else. Nothing here
promises that nobody can be recognised: who writes long sentences still does.
"""

import html
import re
from base64 import encodebytes
from binascii import b2a_qp

from mailward.formats.message import MessageView
from mailward.formats.part import PartView
from mailward.formats.pseudonyms import Pseudonyms

MAGIC_OCTETS = 8
"""Of an attachment: by so many its kind can be told."""

_KEPT = frozenset({b"mime-version", b"content-transfer-encoding", b"date", b"x-priority", b"precedence", b"auto-submitted"})
"""Fields whose values are words of a standard."""
_TRACE = frozenset({b"received", b"received-spf", b"authentication-results", b"arc-authentication-results"})
"""Fields in which names and addresses stand between words of a standard, and those between words of anybody."""
_TRACE_WORDS = frozenset(
    re.findall(
        r"\w+",
        """from by with via for id smtp esmtp smtps esmtps esmtpa esmtpsa lmtp lmtps utf8smtp http https local helo ehlo tls tlsv1
        ssl cipher bits version verify ok no unknown spf dkim dmarc arc iprev auth mailfrom header policy reason d i s b a p sp
        dis none pass fail softfail neutral temperror permerror hardfail client ip envelope receiver identity mechanism domain of
        designates permitted sender does not designate as comment""",
    )
)
_KEPT_PARAMETERS = frozenset(
    {
        "boundary",
        "charset",
        "format",
        "delsp",
        "method",
        "protocol",
        "micalg",
        "report-type",
        "type",
        "start",
        "smime-type",
        "size",
    }
)
_TAGS = frozenset(
    re.findall(
        r"\w+",
        """a abbr address article aside b base blockquote body br button caption center cite code col colgroup dd del div dl dt
        em fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins
        label legend li link main map meta nav object ol option p picture pre q s script section select small source span
        strike strong style sub sup svg table tbody td textarea tfoot th thead title tr tt u ul video wbr""",
    )
)
_IDENTIFIERS = frozenset({b"message-id", b"in-reply-to", b"references", b"content-id", b"resent-message-id"})
_PARAMETERS = frozenset({b"content-type", b"content-disposition"})
_PARAMETER = re.compile(r"(;\s*)([\w-]+)((?:\*\d*)*\s*=\s*)(\"(?:[^\"\\]|\\.)*\"|[^;]*)")
_SELECTOR = re.compile(r"((?:^|;)\s*s\s*=\s*)([^;\s]+)")
_REPLY = re.compile(r"\s*(?:(?:re|fwd?|aw|wg)\s*:\s*)*", re.IGNORECASE)
_ENDING = re.compile(r"(\.\w{1,5})(\"?)$")
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?=")
_TAG = re.compile(r"<[^<>]*>")
_TAG_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)(?=[\s/>])")
_ATTRIBUTE = re.compile(r"([A-Za-z-]{1,20}\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s>]+)")


def masked(octets: bytes, names: Pseudonyms) -> bytes:
    """The message, masked. What an encoding hid is masked inside it; what cannot be decoded is replaced as octets."""
    return _entity(MessageView(octets).root, names)


def _entity(part: PartView, names: Pseudonyms) -> bytes:
    header = b"".join(_field(field.name.encode("latin-1", "replace"), field.raw, field.text, names) for field in part.fields)
    rest = part.header_octets[sum(len(field.raw) for field in part.fields) :]
    return header + _prose(rest, names) + _body(part, names)


def _field(name: bytes, raw: bytes, text: str, names: Pseudonyms) -> bytes:
    head, colon, value = raw.partition(b":")
    line_end = b"\r\n" if raw.endswith(b"\r\n") else b"\n" if raw.endswith(b"\n") else b""
    word = name.lower().strip()
    value_text = value.removesuffix(line_end).decode("latin-1") if line_end else value.decode("latin-1")
    if not colon:
        return _prose(raw, names)
    if word in _KEPT:
        return raw
    if word in _TRACE:
        until = value_text.rfind(";") if word == b"received" else -1  # then comes the date
        what, date = (value_text, "") if until < 0 else (value_text[:until], value_text[until:])
        made = names.prose(what, _TRACE_WORDS) + date
    elif word == b"dkim-signature":
        labels = _SELECTOR.sub(lambda found: found[1] + ".".join(map(names.label, found[2].split("."))), value_text)
        made = names.structure(labels)
    elif word in _IDENTIFIERS:
        made = re.sub(r"[^\s<>@]+(?:@[^\s<>]+)?", lambda found: _identifier(found[0], names), value_text)
    elif word in _PARAMETERS:
        made = _PARAMETER.sub(lambda found: found[1] + found[2] + found[3] + _parameter(found[2], found[4], names), value_text)
    elif _ENCODED_WORD.search(value_text):
        return _ascii_words(head, _reply(text, names), line_end)
    elif word == b"subject":
        made = _reply(value_text, names)
    else:
        made = names.prose(value_text)
    return head + b":" + made.encode("latin-1", "replace") + line_end


def _reply(text: str, names: Pseudonyms) -> str:
    """A text whose "Re:" in front stays."""
    kept = _REPLY.match(text)
    start = kept[0] if kept else ""
    return start + names.prose(text[len(start) :])


def _ascii_words(head: bytes, text: str, line_end: bytes) -> bytes:
    """What was in encoded words stays in one, so that a reader has to decode it (RFC 2047)."""
    pieces = [text.strip()[at : at + 40] for at in range(0, len(text.strip()), 40)]
    encoded = [
        b"=?utf-8?q?" + piece.replace(" ", "_").encode("ascii", "replace").replace(b"?", b"=3F") + b"?=" for piece in pieces
    ]
    return head + b": " + b"\r\n ".join(encoded) + line_end


def _identifier(text: str, names: Pseudonyms) -> str:
    left, at, right = text.partition("@")
    return names.words(left) + at + (names.structure(right) if "." in right else names.words(right))


def _parameter(name: str, value: str, names: Pseudonyms) -> str:
    if name.lower() in _KEPT_PARAMETERS:
        return value
    return _file_name(value, names) if name.lower() in ("name", "filename") else names.prose(value)


def _file_name(text: str, names: Pseudonyms) -> str:
    ending = _ENDING.search(text)
    cut = ending.start() if ending else len(text)
    return names.words(text[:cut]) + text[cut:]


def _body(part: PartView, names: Pseudonyms) -> bytes:
    if part.children:
        made, at = [], part.body_start
        for child in part.children:
            made += [_frame(part, at, child.start, names), _entity(child, names)]
            at = child.end
        return b"".join([*made, _frame(part, at, part.end, names)])
    if part.content_type.startswith("text/") or (part.is_multipart and not part.children):
        return _text(part, names)
    if part.encoding == "base64":
        return _lines_of_base64(_replaced(part.decode()), part.body_octets)
    return (
        _prose(part.body_octets, names) if part.encoding in ("7bit", "8bit", "quoted-printable") else _replaced(part.body_octets)
    )


def _frame(part: PartView, start: int, end: int, names: Pseudonyms) -> bytes:
    """What lies between the parts of a multipart: delimiter lines as they are, what nobody reads masked."""
    delimiter = None if part.boundary is None else b"--" + part.boundary
    lines = part.between(start, end).splitlines(keepends=True)
    return b"".join(line if delimiter is not None and line.startswith(delimiter) else _prose(line, names) for line in lines)


def _text(part: PartView, names: Pseudonyms) -> bytes:
    if part.encoding in ("base64", "quoted-printable"):
        decoded = part.decode()
        made = _readable(decoded, part, names)
        if part.encoding == "base64":
            return _lines_of_base64(made, part.body_octets)
        return b2a_qp(made, istext=True)
    return _readable(part.body_octets, part, names)


def _readable(octets: bytes, part: PartView, names: Pseudonyms) -> bytes:
    """The text in ASCII letters, which every charset for mail has but UTF-16 and its like; those come out as ASCII, too."""
    try:
        text = octets.decode(part.charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        text = octets.decode("latin-1")
    made = _html(text, names) if part.content_type == "text/html" else names.prose(text)
    return made.encode("ascii", "replace")


def _html(text: str, names: Pseudonyms) -> str:
    made, at = [], 0
    for found in _TAG.finditer(text):
        made += [_unescaped(text[at : found.start()], names), _tag(found[0], names)]
        at = found.end()
    return "".join([*made, _unescaped(text[at:], names)])


def _unescaped(text: str, names: Pseudonyms) -> str:
    """What is written as &uuml; or &#252; is masked, too: whole letters of a language may be."""
    return html.escape(names.prose(html.unescape(text)), quote=False).replace("\xa0", "&nbsp;")


def _tag(text: str, names: Pseudonyms) -> str:
    name = _TAG_NAME.match(text)
    if name is None or name[1].lower() not in _TAGS:
        return names.prose(text)
    made, at = [name[0]], name.end()
    for found in _ATTRIBUTE.finditer(text, at):
        made += [names.prose(text[at : found.start()]), found[1], _value(found[2], names)]
        at = found.end()
    return "".join([*made, names.prose(text[at:])])


def _value(text: str, names: Pseudonyms) -> str:
    """An attribute's value; the scheme of an address stays, since that is what it does."""
    scheme = re.match(r"[\"']?(?:https?|mailto|cid|data|tel|javascript):(?://)?", text, re.IGNORECASE)
    start = scheme[0] if scheme else ""
    return start + _unescaped(text[len(start) :], names)


def _prose(octets: bytes, names: Pseudonyms) -> bytes:
    return names.prose(octets.decode("latin-1")).encode("latin-1", "replace")


def _replaced(octets: bytes) -> bytes:
    return octets[:MAGIC_OCTETS] + bytes(max(len(octets) - MAGIC_OCTETS, 0))


def _lines_of_base64(octets: bytes, before: bytes) -> bytes:
    made = encodebytes(octets).replace(b"\n", b"\r\n")
    return made if before.endswith(b"\n") else made.removesuffix(b"\r\n")
