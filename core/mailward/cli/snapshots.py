"""What commands share that take snapshots, read them, or bring back what is in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from mailward.app.backup.snapshot import NoSnapshot, Snapshot
from mailward.app.backup.turns import Busy
from mailward.cli.output import NO_INPUT, TRY_AGAIN, fail

FolderArgument = Annotated[Path, typer.Argument(help="The folder of the backups.")]


@contextmanager
def refusals_told() -> Iterator[None]:
    """Ends the command where what was named is not there, or another one is at work."""
    try:
        yield
    except NoSnapshot as error:
        fail(str(error), NO_INPUT)
    except Busy as error:
        fail(str(error), TRY_AGAIN)


def data_of(snapshot: Snapshot) -> dict[str, object]:
    """As JSON tells of it."""
    manifest = snapshot.manifest
    return {
        "snapshot": snapshot.path.name,
        "path": str(snapshot.path),
        "made_at": manifest.made_at,
        "whole": manifest.is_whole,
        "accounts": [*manifest.accounts.values()],
        "files": len(manifest.files),
    }
