"""May this file be run as a plugin? Reads drop-ins, and refuses whatever somebody else could have written.

Every component of the path, from `/` to the file, must belong to root or the service user, must not be writable by group or
others, and must not be a symbolic link (opened with O_NOFOLLOW, so nothing can be exchanged between check and use). One
exception, since it takes nothing away: a sticky folder of root's such as /tmp may stand above the plugin folder, because there
nobody can rename or replace what belongs to the trusted users below it. The plugin folder itself has no such excuse.

What runs is the text that was checked, compiled in memory: no `.pyc` file beside it is ever read.
"""

import os
import stat
import sys
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

from mailward.api.plugin import PLUGIN_NAME
from mailward.model.errors import PluginError

MAX_SOURCE_OCTETS = 4 * 1024 * 1024

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO that somebody left in the folder would wait for a writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def names_in(folder: Path) -> tuple[str, ...]:
    """The names of the drop-ins in a folder, sorted; () when it does not exist. Nothing is opened.

    Hidden files, packages and files whose stem is no plugin name are no drop-ins.
    """
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(entry.stem for entry in entries if entry.suffix == ".py" and PLUGIN_NAME.fullmatch(entry.stem))


def read(folder: Path, name: str, *, service_uid: int) -> tuple[bytes, Path]:
    """The text of `<folder>/<name>.py` and its whole path. Raises PluginError when it may not be run."""
    path = Path.cwd() / folder / f"{name}.py"  # not resolve(): that would follow the links we are here to refuse
    return _read_trusted(path, name, {0, service_uid}), path


def module_name(name: str) -> str:
    """Under which a drop-in is among the modules."""
    return f"mailward_dropin_{name}"


def run(source: bytes, file: str, name: str) -> ModuleType:
    """The module of this text, run. file: where it was read. name: the module's. Its own errors come as they are."""
    module = ModuleType(name)
    module.__file__ = file
    code = compile(source, file, "exec", dont_inherit=True)
    sys.modules[module.__name__] = module  # dataclasses look up string annotations there
    try:
        exec(code, module.__dict__)  # noqa: S102  running the checked file is what this function is for
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def _read_trusted(path: Path, name: str, trusted: set[int]) -> bytes:
    *folders, file_name = path.parts[1:]
    at = Path("/")
    with ExitStack() as opened:

        def descend(part: str, folder: int | None, flags: int) -> int:
            descriptor = os.open(part, flags, dir_fd=folder)
            opened.callback(os.close, descriptor)
            return descriptor

        try:
            current = descend("/", None, _FOLDER_FLAGS)
            _check(os.fstat(current), at, name, trusted, sticky_may_pass=bool(folders))
            for depth, part in enumerate(folders, start=1):
                at = at / part
                current = descend(part, current, _FOLDER_FLAGS)
                _check(os.fstat(current), at, name, trusted, sticky_may_pass=depth < len(folders))
            at = path
            file = descend(file_name, current, _FILE_FLAGS)
            info = os.fstat(file)
            if not stat.S_ISREG(info.st_mode):
                raise PluginError(name, f"{path} is not a regular file")
            _check(info, path, name, trusted, sticky_may_pass=False)
            with open(file, "rb", closefd=False) as reader:
                source = reader.read(MAX_SOURCE_OCTETS + 1)
        except OSError as error:
            if at.is_symlink():
                raise PluginError(name, f"{at} is a symbolic link; name the real path, links are not followed") from error
            raise PluginError(name, f"{at} cannot be read: {error.strerror}") from error
    if len(source) > MAX_SOURCE_OCTETS:
        raise PluginError(name, f"{path} is larger than {MAX_SOURCE_OCTETS} octets")
    return source


def _check(info: os.stat_result, path: Path, name: str, trusted: set[int], *, sticky_may_pass: bool) -> None:
    if info.st_uid not in trusted:
        raise PluginError(name, f"{path} belongs to uid {info.st_uid}; root or the service user must own it")
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        if sticky_may_pass and info.st_uid == 0 and info.st_mode & stat.S_ISVTX:
            return
        raise PluginError(name, f"{path} can be written by others (mode {stat.S_IMODE(info.st_mode):o}); chmod go-w {path}")
