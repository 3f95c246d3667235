"""Plugins written in a test, as modules."""

import sys
from pathlib import Path
from types import ModuleType

HEAD = """
import asyncio, dataclasses, sys, threading, time
from dataclasses import dataclass
from mailward.api import *

@dataclass(frozen=True)
class OwnFacts(Facts):
    word: str = ""
    count: int = 0
    share: float = 0.0
    names: tuple[str, ...] = ()

plugin = Plugin(
    api=1,
    summary="made by a test",
    facts=OwnFacts,
    symbols={"SEEN": Symbol(2.0, "It was seen")},
    capabilities=("body", "edits", "network", "files", "credentials"),
)
"""


def plugin_module(name: str, body: str, *, head: str = HEAD) -> ModuleType:
    """A module of that name with `plugin`, the API and `body` in it."""
    module = ModuleType(name)
    module.__file__ = f"{name}.py"
    sys.modules[name] = module
    exec(compile(head + body, f"{name}.py", "exec"), module.__dict__)
    return module


def plugin_file(folder: Path, name: str, body: str, *, head: str = HEAD) -> ModuleType:
    """The same, in a file, from which another process can load it."""
    module = plugin_module(name, body, head=head)
    file = folder / f"{name}.py"
    file.write_text(head + body, encoding="utf-8")
    module.__file__ = str(file)
    return module
