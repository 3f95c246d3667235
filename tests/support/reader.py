"""Somebody who reads a page of docs/ and types its commands, in the order in which they stand there."""

import os
import re
import subprocess
from pathlib import Path

from support.server import Server

DOCS = Path(__file__).parents[2] / "docs"


def page_text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page_text(page), re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """The `mailward` commands of a page: lines of its blocks, and those in the text that have something to work on."""
    return [
        line or inline
        for line, inline in re.findall(r"^(?:\$ )?(mailward .*)$|`(mailward [a-z ]+ [^` ][^`]*)`", page_text(page), re.MULTILINE)
    ]


class Reader:
    """stands_for: words of the page -> what they are here, such as the id of a message."""

    def __init__(self, page: str, server: Server, folder: Path, *mentioned: str) -> None:
        """mentioned: commands of the page that it only speaks of."""
        self._left = [command for command in commands(page) if command not in mentioned]
        self._server = server
        self._folder = folder
        self.stands_for: dict[str, str] = {}

    def reads(self, words: str) -> str:
        """The next command of the page, which begins with these words."""
        assert self._left, f"the page ends before `mailward {words}`"
        command = self._left.pop(0)
        assert command.startswith(f"mailward {words}"), command
        for word, real in self.stands_for.items():
            command = command.replace(word, real)
        return command

    def types(self, words: str, *, more: str = "", answer: str = "", code: int = 0) -> str:
        """Type that command, `more` behind it where it would ask a terminal, `answer` into it; what it prints."""
        command = f"{self.reads(words)} {more}"
        environment = {
            **os.environ,
            "PATH": f"{Path(self._server.command).parent}:{os.environ['PATH']}",
            "MAILWARD_CONFIG": str(self._server.config),
            "HOME": str(self._folder),
            "COLUMNS": "200",
        }
        done = subprocess.run(
            ["sh", "-c", command], cwd=self._folder, env=environment,
            input=answer, capture_output=True, text=True, timeout=250, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def is_through(self) -> None:
        assert not self._left, f"nobody typed {self._left}"
