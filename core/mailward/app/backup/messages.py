"""Are the messages in a snapshot sound? A hash says only that a file is as it was copied, whatever was wrong with it then."""

import mmap
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from mailward.database import read_only
from mailward.formats.octets import Octets
from mailward.model.errors import StorageError
from mailward.store.index import FILE
from mailward.store.mending import damaged_in, records_noted


def damaged_messages(snapshot: Path, accounts: Mapping[str, str], without: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Each pack that the accounts' databases name, and how many of its messages are damaged or missing, in words: "" for none.

    accounts: id -> address. without: names of packs that are not looked into. A database that cannot be read is passed over.
    """
    for id, address in accounts.items():
        folder = f"data/accounts/{id}"
        with suppress(StorageError), read_only(snapshot / folder / FILE, immutable=True) as connection:
            for pack, noted in groupby(records_noted(connection), key=lambda locator: locator.pack):
                name = f"{folder}/packs/{pack:08}.pack"
                if name not in without:
                    count = len(damaged_in(pack, _octets(snapshot / name), noted))
                    yield name, f"messages of {address} that cannot be read, in {name}: {count}" if count else ""


def _octets(path: Path) -> Octets:
    """Empty where there is none."""
    try:
        with path.open("rb") as opened:
            return mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
    except (OSError, ValueError):  # ValueError: the file is empty
        return b""
