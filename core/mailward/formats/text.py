"""What of a stranger's text may people see? One set of characters that act, for terminals, reports, records and log lines.

Left out or replaced is what a terminal obeys and what reorders or hides text: control characters, escapes, bidirectional
overrides, invisible characters, lone surrogates, line separators (T-SMTP-30, T-HDR-15).
"""

import re
import unicodedata

MAX_LINE_CHARACTERS = 500
"""More of a stranger's text is nowhere worth one line of ours."""

_ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode."""


_DOT = r"[.\u3002\uff0e\uff61]"
_LINKING = re.compile(
    rf"(?<=\S){_DOT}(?=[^\s\d])|(?i:(?<=www)){_DOT}(?=\d)|:(?=[/\\])|(?<=[A-Za-z]):(?=[^\s:])|\\(?=\\)"
    rf"|(?<=\d){_DOT}(?=\d+{_DOT}\d)|(?<=\d{_DOT}\d){_DOT}(?=\d)|(?<=\d{_DOT}\d\d){_DOT}(?=\d)|(?<=\d{_DOT}\d\d\d){_DOT}(?=\d)"
)
"""What makes a link of "https://www.example.net", "tel:1", two backslashes and a host, or "192.0.2.1": the colon behind a scheme,
the dots of domains in every form that they may have (UTS #46) and of more than two numbers; "1.5" and "10:30" stay."""


def acts(character: str) -> bool:
    """Whether a character does something instead of being seen."""
    return not character.isprintable() and unicodedata.category(character) in _ACTING


def clean(text: str, limit: int) -> str:
    """At most `limit` characters; each that acts becomes a space, so length and places stay."""
    short = text[:limit]
    return short if short.isprintable() else "".join(" " if acts(c) else c for c in short)


def unlinked(text: str) -> str:
    """Text of which no mail program makes a link: dots within words and addresses, and what follows a scheme, are in brackets."""
    return _LINKING.sub(r"[\g<0>]", text)


def plain(text: str) -> str:
    """Text of several lines: line ends and tabs stay, whatever else acts is left out."""
    lines = text.split("\n")
    return "\n".join(line if line.isprintable() else "".join(c for c in line if c == "\t" or not acts(c)) for line in lines)


def one_line(text: str, limit: int = MAX_LINE_CHARACTERS) -> str:
    """Text on one line, blanks run together, so that it can pass neither for a line nor for a field of ours.

    What acts is left out, what else is not printable becomes a blank; what is cut ends in "...".
    """
    line = " ".join(text.split())
    if not line.isprintable():
        line = " ".join("".join(c if c.isprintable() else "" if acts(c) else " " for c in line).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
