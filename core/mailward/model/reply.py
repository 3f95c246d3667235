"""SMTP replies (RFC 5321 section 4.2) with enhanced status codes (RFC 3463)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply.

    code: three digits. enhanced: "5.7.1", or None where RFC 2034 wants none (greeting, EHLO, 3xx).
    lines: printable ASCII, without code and line end. closes: the server ends the connection after it.
    name: in the table of `replies`, by which an admin can word it; "" when its text is certain. values: what its words may name.
    """

    code: int
    enhanced: str | None
    lines: tuple[str, ...]
    closes: bool = False
    name: str = field(default="", compare=False)
    values: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def is_positive(self) -> bool:
        return self.code < 400

    def __str__(self) -> str:
        """One line for people and logs: "554 5.7.1 text"."""
        head = str(self.code) if self.enhanced is None else f"{self.code} {self.enhanced}"
        return f"{head} {' '.join(self.lines)}"

    def filled(self, **values: object) -> "Reply":
        """The same with values in the place of the names in braces."""
        texts = {name: str(value) for name, value in values.items()}
        return replace(self, lines=tuple(line.format_map(texts) for line in self.lines), values=tuple(texts.items()))

    def worded(self, texts: Mapping[str, str]) -> "Reply":
        """The reply with its text certain: the admin's for its name, if there is one, else its own."""
        text = texts.get(self.name) if self.name else None
        return self if text is None else replace(self, lines=(text.format_map(dict(self.values)),), name="")

    def to_octets(self) -> bytes:
        """The reply as sent, every line at most 512 octets (RFC 5321 section 4.5.3.1.5), anything unprintable as '?'."""
        prefix = "" if self.enhanced is None else self.enhanced + " "
        out = []
        last = len(self.lines) - 1
        for number, line in enumerate(self.lines):
            text = prefix + line
            if not (text.isascii() and text.isprintable()):
                text = "".join(c if " " <= c <= "~" else "?" for c in text)
            out.append(f"{self.code}{' ' if number == last else '-'}{text[:506]}\r\n")
        return "".join(out).encode("ascii")


def reply(code: int, enhanced: str | None, text: str, *, closes: bool = False) -> Reply:
    """A reply of one line."""
    return Reply(code, enhanced, (text,), closes)
