"""The keys that rewritten reverse-paths are made with: `secrets/srs`, one a line, in the form of postsrsd's secret file."""

import secrets
from pathlib import Path

from mailward.disk import Disk
from mailward.services.secrets import FolderSecrets

NAME = "srs"


def srs_keys(folder: Path) -> tuple[bytes, ...]:
    """The first makes addresses, all are good for reading them; one is made when there is none. Raises as `kept_srs_keys`."""
    if not (folder / NAME).exists():
        disk = Disk()
        disk.mkdir(folder)
        disk.write_whole(folder / NAME, [secrets.token_urlsafe(32).encode() + b"\n"])
    return kept_srs_keys(folder)


def kept_srs_keys(folder: Path) -> tuple[bytes, ...]:
    """The same of those that are there.

    Raises PermissionError when others could read them, ValueError when the file holds none, FileNotFoundError, OSError.
    """
    keys = tuple(line for line in FolderSecrets(folder).read(NAME).splitlines() if line)
    if not keys:
        raise ValueError(f"{folder / NAME} holds no key; remove the file, and one is made")
    return keys
