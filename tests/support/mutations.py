"""How does a good message become an odd one? By the changes that evasions and accidents make, drawn by a choice of numbers.

`mutate` takes a source of numbers, so hypothesis can shrink what it found, and a plain random generator can run fast.
"""

from collections.abc import Sequence
from typing import Protocol

from hypothesis import strategies as st


class Dice(Protocol):
    def below(self, limit: int) -> int:
        """A number from 0 to limit - 1; 0 when limit is below 2."""


TOKENS = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b"\r\n ", b"\r\n\t", b"\r\n\r\n", b":", b";", b"=", b",", b'"', b"'", b"\\", b"(", b")", b"<", b">",
    b"--", b"--\r\n", b"\r\n--", b"/", b"*", b"*0", b"*0*=", b"*=utf-8''", b"=\r\n", b"=3D", b"%2E", b"\xc3\xa4", b"\xff", b"\x0b", b"\x0c", b"\x1c", b"\x85",
    b"boundary=", b"; boundary=b", b"; boundary=\"b\"", b"charset=utf-8", b"multipart/mixed", b"multipart/digest", b"message/rfc822",
    b"text/html", b"application/octet-stream", b"base64", b"quoted-printable", b"binary", b"7bit", b"x-uuencode",
    b"Content-Type: text/plain\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: message/rfc822\r\n",
    b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"Content-Transfer-Encoding: 8bit\r\n",
    b"Content-Disposition: attachment; filename=a.exe\r\n", b"From mail@example.org Tue Nov 24 10:04:05 2026\r\n", b">From ", b"QUJD", b"=?utf-8?q?a?=",
    b"begin 644 a.exe\r\n", b"Subject: x\r\n", b"Subject : x\r\n", b"x\r\n",
)  # fmt: skip
"""Pieces that readers of mail care about."""
MAX_OCTETS = 20_000


def crlf(octets: bytes) -> bytes:
    """All line ends as SMTP has them."""
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def mutate(octets: bytes, others: Sequence[bytes], dice: Dice) -> bytes:
    """One to four changes: with more, one oddity hides behind another."""
    for _ in range(1 + dice.below(4)):
        octets = _CHANGES[dice.below(len(_CHANGES))](octets, others, dice)[:MAX_OCTETS]
    return octets


def _line(octets: bytes, dice: Dice) -> tuple[int, int]:
    """Start and end of a line, its line end included."""
    lines = octets.count(b"\n")
    start = 0
    for _ in range(dice.below(lines + 1)):
        start = octets.index(b"\n", start) + 1
    end = octets.find(b"\n", start)
    return start, len(octets) if end < 0 else end + 1


def _insert_token(octets: bytes, others: Sequence[bytes], dice: Dice) -> bytes:
    place = dice.below(len(octets) + 1)
    return octets[:place] + TOKENS[dice.below(len(TOKENS))] + octets[place:]


def _insert_in_line(octets: bytes, others: Sequence[bytes], dice: Dice) -> bytes:
    """A token at the start, the end, or the first colon or equals sign of a line: where readers look."""
    start, end = _line(octets, dice)
    text_end = end - len(octets[start:end]) + len(octets[start:end].rstrip(b"\r\n"))
    places = [start, text_end, end]
    for mark in (b":", b"=", b"/", b";"):
        if (found := octets.find(mark, start, end)) >= 0:
            places += [found, found + 1]
    place = places[dice.below(len(places))]
    return octets[:place] + TOKENS[dice.below(len(TOKENS))] + octets[place:]


def _drop_line(octets: bytes, others: Sequence[bytes], dice: Dice) -> bytes:
    start, end = _line(octets, dice)
    return octets[:start] + octets[end:]


def _repeat_line(octets: bytes, others: Sequence[bytes], dice: Dice) -> bytes:
    start, end = _line(octets, dice)
    place = _line(octets, dice)[0]
    return octets[:place] + octets[start:end] + octets[place:]


def _move_line(octets: bytes, others: Sequence[bytes], dice: Dice) -> bytes:
    start, end = _line(octets, dice)
    rest = octets[:start] + octets[end:]
    place = _line(rest, dice)[0]
    return rest[:place] + octets[start:end] + rest[place:]


def _line_of_other(octets: bytes, others: Sequence[bytes], dice: Dice) -> bytes:
    other = others[dice.below(len(others))]
    start, end = _line(other, dice)
    place = _line(octets, dice)[0]
    return octets[:place] + other[start:end] + octets[place:]


def _change_octet(octets: bytes, others: Sequence[bytes], dice: Dice) -> bytes:
    place = dice.below(len(octets))
    return octets[:place] + bytes([dice.below(256)]) + octets[place + 1 :]


def _drop_octets(octets: bytes, others: Sequence[bytes], dice: Dice) -> bytes:
    place = dice.below(len(octets) + 1)
    return octets[:place] + octets[place + 1 + dice.below(4) :]


def _swap_case(octets: bytes, others: Sequence[bytes], dice: Dice) -> bytes:
    start, end = _line(octets, dice)
    return octets[:start] + octets[start:end].swapcase() + octets[end:]


def _cut(octets: bytes, others: Sequence[bytes], dice: Dice) -> bytes:
    return octets[: dice.below(len(octets) + 1)]


_CHANGES = (
    _insert_token, _insert_token, _insert_in_line, _insert_in_line, _insert_in_line, _drop_line, _repeat_line, _move_line,
    _line_of_other, _change_octet, _drop_octets, _swap_case, _cut,
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """One of the messages, changed."""
    octets = seeds[draw(st.integers(0, len(seeds) - 1))]

    class Drawn:
        def below(self, limit: int) -> int:
            return draw(st.integers(0, limit - 1)) if limit > 1 else 0

    return mutate(octets, seeds, Drawn())
