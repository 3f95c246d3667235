"""How commands speak: text for people or `--json` for programs, and exit codes with one meaning each."""

import json
import sys
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
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        typer.echo(text() if callable(text) else text)


def fail(text: str, code: int) -> NoReturn:
    """End the command with a plain line on standard error."""
    print(f"mailward: {text}", file=sys.stderr)
    raise typer.Exit(code)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, the last one as it is."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]).rstrip() for row in rows
    )
