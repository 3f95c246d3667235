"""Where does the time of the processes that take mail go? A sampled profile of them under smtp-source, by package and by function.

Microseconds of processor time a message. "own" is what a function's lines take, with the C code they call; "all" what it
takes with all that it calls. What the loop's own C code takes, reading sockets for one, counts for the loop or for the function
that it calls next. The generated `__init__` of a dataclass counts for its caller. Other threads (they write and sync) are one
line: their stacks are not sampled.
"""

import json
import os
import sys
import sysconfig
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from load import DISCARD_DOMAIN, cell_name, smtp_source
from sampler import BEGIN, END
from sides import mailward_server

from support.server import Server

CELLS = ((2048, 10, 10_000), (2_097_152, 10, 200))
"""Octets, sessions, messages."""
LINES = 30
_WRITE_LIMIT_S = 20.0
_LOOP = "asyncio.runners.Runner.run"
_LIBRARY = sysconfig.get_path("stdlib")


class Profile(TypedDict):
    """What `sampler` writes of one process. stacks: seconds, and file and function from the innermost call outwards."""

    main_s: float
    process_s: float
    stacks: list[tuple[float, list[tuple[str, str]]]]


def run() -> None:
    with _launcher() as (command, folder), mailward_server(command) as server:
        port, to = server.port("mx"), f"to@{DISCARD_DOMAIN}"
        for octets, sessions, count in CELLS:
            smtp_source(port, to, octets, sessions, min(count, 500))
            pids = _smtp_workers(server)
            for pid in pids:
                os.kill(pid, BEGIN)
            smtp_source(port, to, octets, sessions, count)
            print(f"\n  {cell_name(octets, sessions)}, {count} messages, microseconds of processor time a message")
            _print([_profile(folder, pid) for pid in pids], count)


@contextmanager
def _launcher() -> Iterator[tuple[str, Path]]:
    """A command that is `mailward` with the sampler, and the folder where that leaves its profiles."""
    with tempfile.TemporaryDirectory(prefix="mailward-profile-") as name:
        folder = Path(name)
        folder.chmod(0o777)  # the workers are another user's
        command = folder / "mailward"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("sampler.py")}" "{folder}" "$@"\n')
        command.chmod(0o755)
        yield str(command), folder


def _smtp_workers(server: Server) -> list[int]:
    started = [line for line in server.log_octets().splitlines() if b'event="worker started"' in line and b"role=smtp" in line]
    found = [int(line.partition(b"pid=")[2].split()[0]) for line in started]
    if not found:
        raise SystemExit(f"the log names no process that takes mail:\n{server.log()}")
    return found


def _profile(folder: Path, pid: int) -> Profile:
    path = folder / f"{pid}.json"
    os.kill(pid, END)
    deadline = time.monotonic() + _WRITE_LIMIT_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"process {pid} wrote no profile within {_WRITE_LIMIT_S:.0f} s")
        time.sleep(0.05)
    found: Profile = json.loads(path.read_text())
    path.unlink()
    return found


def _print(profiles: list[Profile], count: int) -> None:
    own: dict[str, float] = defaultdict(float)
    whole: dict[str, float] = defaultdict(float)
    packages: dict[str, float] = defaultdict(float)
    for profile in profiles:
        for seconds, stack in profile["stacks"]:
            written = [(file, function) for file, function in stack if file != "<string>"]
            names = [f"{_module(file)}.{function}" for file, function in written]
            names = names[: names.index(_LOOP) + 1] if _LOOP in names else names
            own[names[0]] += seconds
            packages[_package(written[0][0])] += seconds
            for name in set(names):
                whole[name] += seconds
    main_s = sum(profile["main_s"] for profile in profiles)
    process_s = sum(profile["process_s"] for profile in profiles)
    scale = 1e6 / count
    print(f"  {len(profiles)} processes: {process_s * scale:,.0f}, of that other threads {(process_s - main_s) * scale:,.0f}")
    print("\n       own  package")
    for name, seconds in sorted(packages.items(), key=lambda pair: -pair[1])[:LINES]:
        print(f"  {seconds * scale:>8,.1f}  {name}")
    for title, first in (("own", own), ("all", whole)):
        print(f"\n       own       all  function, by {title}")
        for name, _ in sorted(first.items(), key=lambda pair: -pair[1])[:LINES]:
            print(f"  {own[name] * scale:>8,.1f}  {whole[name] * scale:>8,.1f}  {name}")


def _module(file: str) -> str:
    for root in (*sys.path, _LIBRARY):
        if root and file.startswith(f"{root}/"):
            return file.removeprefix(f"{root}/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return file


def _package(file: str) -> str:
    """Two words for ours, one for others', "standard library" for Python's."""
    words = _module(file).split(".")
    if words[0].startswith("mailward"):
        return ".".join(words[:3] if words[1:2] == ["protocol"] else words[:2])
    return "standard library" if file.startswith(_LIBRARY) and "site-packages" not in file else words[0]
