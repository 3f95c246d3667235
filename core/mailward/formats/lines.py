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
    """Fed with the octets of a message in any pieces; the facts are the same however they were cut.

    bare_cr, bare_lf, nul, longest_octets: as in `LineFacts`, so far.
    """

    def __init__(self) -> None:
        self.bare_cr = self.bare_lf = self.nul = False
        self._open = 0
        self.longest_octets = 0
        self._eight_bit = self._after_return = False

    def feed(self, piece: bytes) -> None:
        if self._after_return:
            piece = b"\r" + piece
        # Whether a CR at the end is bare shows with what comes next.
        self._after_return = piece.endswith(b"\r")
        if self._after_return:
            piece = piece[:-1]
        lines = piece.split(b"\r\n")
        rest = piece if len(lines) == 1 else b"".join(lines)
        # In what is left a search for one octet runs at the speed of memory; to count in the whole takes a hundred times as long.
        self.bare_cr = self.bare_cr or b"\r" in rest
        self.nul = self.nul or b"\0" in rest
        self._eight_bit = self._eight_bit or not rest.isascii()
        if b"\n" in rest:
            self.bare_lf = True
            *ended, last = piece.split(b"\n")
            lines = [*(line.removesuffix(b"\r") for line in ended), last]
        self.longest_octets = max(self.longest_octets, self._open + len(lines[0]), max(map(len, lines)))
        self._open = len(lines[-1]) if len(lines) > 1 else self._open + len(lines[0])

    @property
    def facts(self) -> LineFacts:
        """What is known if the message ends here."""
        return LineFacts(
            bare_cr=self.bare_cr or self._after_return,
            bare_lf=self.bare_lf,
            nul=self.nul,
            eight_bit=self._eight_bit,
            longest_octets=max(self.longest_octets, self._open + self._after_return),
        )


def line_facts(octets: Octets) -> LineFacts:
    """The facts of a message that nobody watched when it came, read in pieces."""
    counter = LineCounter()
    for start in range(0, len(octets), PIECE_OCTETS):
        counter.feed(octets[start : start + PIECE_OCTETS])
    return counter.facts
