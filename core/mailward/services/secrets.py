"""The secret files of one plugin: `secrets/<plugin>/` beside mailward.yaml, readable by the service user alone."""

import os
import stat
from pathlib import Path


class FolderSecrets:
    """`mailward.api.Secrets` of one plugin."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        """Relative paths, sorted; () when there is no folder."""
        return tuple(sorted(str(path.relative_to(self._folder)) for path in self._folder.rglob("*") if path.is_file()))

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError for what is not below the folder, PermissionError when others could read or change it."""
        path = self._folder / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise FileNotFoundError(f"{name} is no file below {self._folder}")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            state = os.fstat(file.fileno())
            if state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise PermissionError(f"{path} is open to others; run: chmod 600 {path}")
            return file.read()
