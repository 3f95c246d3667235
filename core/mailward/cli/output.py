"""How commands speak: text for people or `--json` for programs, and exit codes with one meaning each.

Whatever strangers wrote into a message may be part of an answer, and what stands in a file part of a complaint. So all that a
command prints is printed here, and nothing leaves that a terminal obeys or that reorders text (T-SMTP-30, T-HDR-15).
"""

import json
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import typer

from mailward.formats.text import acts, plain

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
    warn(text)
    raise typer.Exit(code)


def warn(text: str) -> None:
    """Say on standard error what the caller should know beside the answer."""
    tell(f"mailward: {text}")


def tell(text: str) -> None:
    """A line on standard error that is no warning."""
    print(plain(text), file=sys.stderr)


def _json(data: object) -> str:
    """Nothing is left out of JSON: what a terminal would obey is written as an escape."""
    lines = json.dumps(data, indent=2, ensure_ascii=False).split("\n")
    return "\n".join(
        line if line.isprintable() else "".join(json.dumps(c)[1:-1] if acts(c) else c for c in line) for line in lines
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, the last one as it is."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]).rstrip() for row in rows
    )
