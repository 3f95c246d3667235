"""How commands speak: text for people or `--json` for programs, and exit codes with one meaning each.

NOT_ALL is for what is done but for some of it. NO_INPUT is for what was named and is not there; a list of nothing is an answer,
and exits 0. TRY_AGAIN is for what the same command can do later. Times are local in text and UTC in JSON.

Whatever strangers wrote into a message may be part of an answer, and what stands in a file part of a complaint. So all that a
command prints is printed here, and nothing leaves that a terminal obeys or that reorders text (T-SMTP-30, T-HDR-15).
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NoReturn

import typer

from mailward.formats.text import acts, plain

NOT_ALL = 2
USAGE = 64
SOFTWARE = 70
NO_INPUT = 66
TRY_AGAIN = 75
CONFIGURATION = 78

_UTC_MOMENT = re.compile(r"\b(next after |until |by )(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)")
"""In our own sentences; a moment in the words of another server stays as it said it."""


def show(text: str | Callable[[], str], data: object, *, as_json: bool) -> None:
    """Print the answer of a command in the form that was asked for. data: what `json` can write, or what makes it."""
    if as_json:
        typer.echo(_json(data() if callable(data) else data))
    else:
        typer.echo(plain(text() if callable(text) else text))


def show_entry(text: str, data: object, *, as_json: bool) -> None:
    """One line of an answer that goes on: plain, or JSON in ASCII without line ends."""
    typer.echo(json.dumps(data) if as_json else plain(text))


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


def confirm(question: str, *, yes: bool) -> None:
    """Go on only with a person's word: the option --yes, or an answer at the terminal. Else the command ends as wrong usage."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail("nothing was done; there is no terminal to ask at, so add --yes", USAGE)
    print(plain(f"{question} [y/N] "), end="", file=sys.stderr, flush=True)  # nothing but the answer is on standard output
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        fail("nothing was done", USAGE)


def moment(at: datetime | str) -> str:
    """A moment (aware, or the ISO 8601 of a record) in the time zone of this machine, which it names."""
    known = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{known.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def local_times(text: str) -> str:
    """A sentence of a record, its moments in the time zone of this machine."""
    return _UTC_MOMENT.sub(lambda found: found[1] + moment(found[2]), text)


def progress(done: int, total: int) -> None:
    """How far long work has come: one line at the terminal that is written over, and nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"{f'{done:,} of {total:,} ...' if done < total else '':<40}", end="\r", file=sys.stderr, flush=True)


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
