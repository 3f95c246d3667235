"""What waits for something outside on the event loop's thread? Python tells of it: by audit events and profiling."""

import contextlib
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

_WAITS = {
    "socket.getaddrinfo": "a look-up by the system",
    "socket.gethostbyname": "a look-up by the system",
    "socket.gethostbyaddr": "a look-up by the system",
    "socket.connect": "connecting",
    "sqlite3.connect": "a database file",
    "subprocess.Popen": "starting a program",
    "os.system": "running a program",
}
_asyncio = str(Path(sys.modules["asyncio"].__file__ or "").parent) if "asyncio" in sys.modules else ""
_found: dict[int, list[str]] = {}
_lock = threading.Lock()
_installed = False


@contextlib.contextmanager
def watched(found: list[str], *, closely: bool) -> Iterator[None]:
    """Add what waits on this thread meanwhile, with the line that does.

    closely: sleeping, too, which Python tells of by an audit event only from 3.13 on; it makes everything slower.
    """
    _install()
    ident = threading.get_ident()
    _found[ident] = found

    def called(frame: FrameType, event: str, function: object) -> None:
        if event == "c_call" and function is time.sleep:
            found.append(f"time.sleep ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})")

    if closely:
        sys.setprofile(called)
    try:
        yield
    finally:
        if closely:
            sys.setprofile(None)
        del _found[ident]


def _install() -> None:
    """Once: an audit hook cannot be taken away again, so it looks only while somebody asks."""
    global _installed
    with _lock:
        if not _installed:
            sys.addaudithook(_hear)
            _installed = True


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _WAITS or not _found:
        return
    found = _found.get(threading.get_ident())
    if found is None or (event == "socket.connect" and arguments[0].gettimeout() == 0):
        return
    stack = traceback.extract_stack(sys._getframe(1), limit=12)
    if event == "subprocess.Popen" and any(frame.filename.startswith(_asyncio) for frame in stack):
        return  # asyncio's own way, which does not wait for it
    at = stack[-1]
    found.append(f"{_WAITS[event]} ({Path(at.filename).name}:{at.lineno})")
