"""How commands speak: text for people or `--json` for programs, and exit codes with one meaning each.

Whatever strangers wrote into a message may be part of an answer, so nothing that a terminal obeys or that reorders text leaves
here: control characters, escapes, bidirectional overrides, invisible characters (T-SMTP-30, T-HDR-15).
"""

import json
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import NoReturn

import typer

USAGE = 64
SOFTWARE = 70
NO_INPUT = 66
CONFIGURATION = 78


def show(text: str | Callable[[], str], data: object, *, as_json: bool) -> None:
    """Print the answer of a command in the form that was asked for. data: what `json` can write."""
    if as_json:
        typer.echo(_json(data))
    else:
        typer.echo(plain(text() if callable(text) else text))


def fail(text: str, code: int) -> NoReturn:
    """End the command with a plain line on standard error."""
    print(plain(f"mailward: {text}"), file=sys.stderr)
    raise typer.Exit(code)


def plain(text: str) -> str:
    """Text for a terminal: line ends and tabs stay, whatever else is no visible character is left out."""
    lines = text.split("\n")
    return "\n".join(line if line.isprintable() else "".join(c for c in line if c == "\t" or not _acts(c)) for line in lines)


def one_line(text: str) -> str:
    """The same on one line, blanks run together, so that nobody's text can pass for a line of ours."""
    return " ".join(plain(" ".join(text.split())).split())


def _acts(character: str) -> bool:
    return not character.isprintable() and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _json(data: object) -> str:
    """Nothing is left out of JSON: what a terminal would obey is written as an escape."""
    lines = json.dumps(data, indent=2, ensure_ascii=False).split("\n")
    return "\n".join(
        line if line.isprintable() else "".join(json.dumps(c)[1:-1] if _acts(c) else c for c in line) for line in lines
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, the last one as it is."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]).rstrip() for row in rows
    )
