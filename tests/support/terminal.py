"""A program at a terminal of its own, and somebody who waits for words on the screen and presses keys."""

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

_DRAWING = re.compile(rb"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>78])|[\x0e\x0f\x00]")


class Terminal:
    """Use with `with`: the program is ended at the end."""

    def __init__(self, arguments: list[str], home: Path, limit_s: float = 90.0) -> None:
        self._limit_s = limit_s
        self._screen, terminal = pty.openpty()
        environment = {"HOME": str(home), "TERM": "xterm", "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        self._process = subprocess.Popen(arguments, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
        os.close(terminal)
        self._output = select.poll()
        self._output.register(self._screen, select.POLLIN)
        self._shown = b""
        self._looked = 0

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._screen)

    @property
    def shown(self) -> str:
        """The words shown so far."""
        return _DRAWING.sub(b" ", self._shown).decode(errors="replace")

    def until(self, words: str, keys: str = "") -> None:
        """Wait until the words are shown after those that were waited for before, then press keys."""
        deadline = time.monotonic() + self._limit_s
        while (place := self.shown.find(words, self._looked)) < 0:
            assert self._look() and time.monotonic() < deadline, f"no {words!r} in\n{self.shown[-3000:]}"
        self._looked = place + len(words)
        os.write(self._screen, keys.encode())

    def end(self) -> int:
        """Wait until the program has ended; its exit code."""
        deadline = time.monotonic() + self._limit_s
        while self._process.poll() is None and self._look():
            assert time.monotonic() < deadline, self.shown[-3000:]
        return self._process.wait(self._limit_s)

    def _look(self) -> bool:
        """Take in what is shown meanwhile; False when the terminal is gone with the program."""
        if self._output.poll(100):
            try:
                self._shown += os.read(self._screen, 65536)
            except OSError:
                return False
        return True
