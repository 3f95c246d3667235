"""Whoever searches the log finds each event by the words of the pages: they stand in the code as they are, parted by blanks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import mailward
import mailward_plugins

FOLDERS = (Path(mailward.__file__).parent, Path(mailward_plugins.__file__).parent)
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
WORDS = re.compile(r"[A-Za-z0-9-]+([,:]? [A-Za-z0-9-]+)*")


def is_of_log(called: ast.expr) -> bool:
    """`log.info`, `self._log.error`, `services.log.warning`, or `self._log` itself."""
    if not isinstance(called, ast.Attribute):
        return False
    return called.attr == "_log" or (called.attr in LEVELS and ast.unparse(called.value).rpartition(".")[2].endswith("log"))


def events() -> Iterator[tuple[str, int, ast.expr]]:
    """(module, line, event) of each call that writes to the log, but for what a caller says, whose own call is among them."""
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and node.args and is_of_log(node.func) and ast.unparse(node.args[0]) != "event":
                    yield str(path.relative_to(folder)), node.lineno, node.args[0]


def test_events_are_words_with_blanks() -> None:
    found = list(events())
    assert len(found) > 100
    wrong = [
        f"{module}:{line}: {ast.unparse(event)}"
        for module, line, event in found
        if not (isinstance(event, ast.Constant) and isinstance(event.value, str) and WORDS.fullmatch(event.value))
    ]
    assert not wrong, "write an event as words with blanks, and values beside it: " + "; ".join(wrong)
