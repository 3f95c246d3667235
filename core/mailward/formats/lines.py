"""What is known of the lines of a message? Facts gathered while its octets pass by, so that nobody reads them a second time."""

from dataclasses import dataclass

from mailward.formats.octets import PIECE_OCTETS, Octets


@dataclass(frozen=True, slots=True)
class LineFacts:
    """bare_cr, bare_lf: a CR or LF that is not half of a CRLF. nul: an octet of value 0. eight_bit: an octet above 127.

    longest_octets: of the longest line, its line end not counted (RFC 5322 section 2.1.1 allows 998).
    """

    bare_cr: bool = False
    bare_lf: bool = False
    nul: bool = False
    eight_bit: bool = False
    longest_octets: int = 0


class LineCounter:
    """Fed with the octets of a message in any pieces; the facts are the same however they were cut."""

    def __init__(self) -> None:
        self._pairs = self._returns = self._feeds = self._longest = self._open = 0
        self._nul = self._eight_bit = self._after_return = False

    def feed(self, piece: bytes) -> None:
        if not piece:
            return
        self._pairs += piece.count(b"\r\n") + (self._after_return and piece.startswith(b"\n"))
        self._returns += piece.count(b"\r")
        self._feeds += piece.count(b"\n")
        self._nul = self._nul or b"\0" in piece
        self._eight_bit = self._eight_bit or not piece.isascii()
        first, *others = piece.split(b"\n")
        if others:
            # What is before the first line feed ends a line of an earlier piece, what is behind the last one goes on.
            with_return = first.endswith(b"\r") or (not first and self._after_return)
            self._longest = max(self._longest, self._open + len(first) - with_return)
            *whole, last = others
            if whole:
                longest = max(map(_line_octets, whole)) if self._feeds > self._pairs else max(map(len, whole)) - 1
                self._longest = max(self._longest, longest)
            self._open = len(last)
        else:
            self._open += len(first)
        self._after_return = piece.endswith(b"\r")

    @property
    def facts(self) -> LineFacts:
        return LineFacts(
            bare_cr=self._returns > self._pairs,
            bare_lf=self._feeds > self._pairs,
            nul=self._nul,
            eight_bit=self._eight_bit,
            longest_octets=max(self._longest, self._open),
        )


def line_facts(octets: Octets) -> LineFacts:
    """The facts of a message that nobody watched when it came, read in pieces."""
    counter = LineCounter()
    for start in range(0, len(octets), PIECE_OCTETS):
        counter.feed(octets[start : start + PIECE_OCTETS])
    return counter.facts


def _line_octets(line: bytes) -> int:
    return len(line) - line.endswith(b"\r")
