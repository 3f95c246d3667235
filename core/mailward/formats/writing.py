"""How are a header field and a part of text written? (RFC 5322 sections 2.1.1, 2.2 and 2.2.3; RFC 2047)

The one place where text becomes a field of ours, so the one place that keeps line ends out of it (T-HDR-11).
"""

import binascii
import re

from mailward.formats.words import encode_words

LINE_OCTETS = 78
"""RFC 5322 section 2.1.1: lines should not be longer."""
MAX_LINE_OCTETS = 998
"""RFC 5322 section 2.1.1: lines must not be longer."""

_FIELD_NAME = re.compile(r"[!-9;-~]+")
_NEWLINE = re.compile(rb"\r\n|\r|\n")
_SEVEN_BIT = re.compile(rb"(?:[\t -~]{0,998}\r\n)*")
_WORD = re.compile(r"[ \t]+[^ \t]+|^[^ \t]+")


def fold_field(name: str, value: str) -> bytes:
    """One header field as octets, its line end included, folded at blanks so that lines have at most 78 octets if they can.

    A value that is not plain ASCII, or could not be folded below 998 octets, is sent as encoded-words (RFC 2047).
    Raises ValueError when the name is no field name, or the value holds CR, LF or NUL.
    """
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a header field name (RFC 5322 section 3.6.8)")
    refuse_line_ends(name, value)
    value = value.strip(" \t")
    words = _WORD.findall(value)
    if not all(" " <= c <= "~" or c == "\t" for c in value) or max(map(len, words), default=0) > MAX_LINE_OCTETS - len(name) - 2:
        words = [" " + word if number else word for number, word in enumerate(encode_words(value))]
    lines = [f"{name}:"]
    for number, word in enumerate(words):
        written = word if number else " " + word
        # A first word that is too long on any line stays beside its name.
        if len(lines[-1]) + len(written) > LINE_OCTETS and (number or len(written) <= LINE_OCTETS):
            lines.append(written)
        else:
            lines[-1] += written
    return "\r\n".join(lines).encode("ascii") + b"\r\n"


def with_prefix(raw: bytes, prefix: str) -> bytes:
    """A field as received, colon and all, with text put before its value. Raises ValueError when the text holds CR, LF or NUL."""
    refuse_line_ends("the prefix", prefix)
    value = raw.partition(b":")[2].lstrip(b" \t")
    before = raw.removesuffix(value)
    starts_with_word = value.startswith(b"=?")
    if prefix.isascii() and prefix.isprintable() and "=?" not in prefix:
        text = prefix if prefix.endswith(" ") or not starts_with_word else prefix + " "
        written = text.encode("ascii")
    else:
        # Blanks between two encoded-words are not shown, those before plain text are (RFC 2047 section 6.2).
        text = prefix if starts_with_word else prefix.rstrip(" ")
        written = "\r\n ".join(encode_words(text)).encode("ascii") + b" "
    first_line = value.partition(b"\n")[0].strip()
    if first_line and written.endswith(b" ") and len(before) + len(written.rpartition(b"\n")[2]) + len(first_line) > LINE_OCTETS:
        written = written[:-1] + b"\r\n "
    return before + written + value


def text_part(text: str) -> bytes:
    """Plain text as a part, its fields, the empty line and the body."""
    return encoded_part("text/plain; charset=utf-8", _NEWLINE.sub(b"\r\n", text.encode("utf-8", "replace")))


def encoded_part(content_type: str, octets: bytes) -> bytes:
    """A part as it is where that is 7-bit, else quoted-printable (RFC 2045 section 6.7). octets: with CRLF line ends."""
    head = f"Content-Type: {content_type}\r\n"
    if not _SEVEN_BIT.fullmatch(octets):
        head += "Content-Transfer-Encoding: quoted-printable\r\n"
        # Given CRLF it would end the soft breaks of a first line with a bare LF.
        octets = binascii.b2a_qp(octets.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")
    return head.encode("ascii") + b"\r\n" + octets


def refuse_line_ends(what: str, text: str) -> None:
    """Raises ValueError for text that could end its line or its field (T-HDR-11)."""
    if any(c in text for c in "\r\n\0"):
        raise ValueError(f"the value of {what} holds CR, LF or NUL")
