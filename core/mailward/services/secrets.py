"""The secret files of one plugin: `secrets/<plugin>/` beside mailward.yaml, readable by the service user alone."""

import os
import stat
from pathlib import Path


class FolderSecrets:
    """`mailward.api.Secrets` of one plugin."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self, folder: str = "") -> tuple[str, ...]:
        """Relative paths, sorted; () when there is no folder. Raises PermissionError: what cannot be looked into is not empty."""
        top = self._below(folder)
        found = []
        for base, _, names in os.walk(top, onerror=_raise_unless_missing):
            found += [str((Path(base) / name).relative_to(self._folder)) for name in names]
        return tuple(sorted(found))

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError for what is not below the folder, PermissionError when others could read or change it."""
        path = self._below(name)
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            state = os.fstat(file.fileno())
            if state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise PermissionError(f"{path} is open to others; run: chmod 600 {path}")
            return file.read()

    def _below(self, name: str) -> Path:
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise FileNotFoundError(f"{name} is not below {self._folder}")
        return self._folder / name


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
