"""The conformance kit itself: for each check a plugin that deserves to fail it, and one that passes them all."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

import pytest

from mailward.testing.conformance import Conformance

pytestmark = pytest.mark.timeout(300)  # the first test waits for all of them

HEAD = """
import asyncio, os, random, time
from collections.abc import Mapping
from dataclasses import dataclass, field
from mailward.api import *

@dataclass(frozen=True)
class OwnSettings(Settings):
    words: int = 3
    loud: bool = False
    marks: Mapping[str, str] = field(default_factory=dict)

plugin = Plugin(api=1, summary="Made by a test", settings=OwnSettings, capabilities=("body", "network"), symbols={"SEEN": Symbol(1.0, "It was seen")})
"""
GOOD = """
@hookimpl
async def inspect_message(message, settings, services):
    answer = await services.resolver.resolve("example.net", "TXT")
    await services.kv.put_many({b"seen": b"1"})
    if len(message.subject.split()) < settings.words:
        return None
    return Finding("SEEN", f"{message.subject} {answer.status} {settings.loud}")
"""
HOOK = "\n@hookimpl\nasync def inspect_message(message, session, envelope, settings, services):\n"


@dataclass(frozen=True)
class Bad:
    """A plugin that must fail one check with these words."""

    check: str
    source: str
    words: str
    mode: str = "thread"


BAD = {
    "unmarked": Bad("its_declaration_is_sound", HEAD + "def inspect_message(message): pass\n", "write @hookimpl above it"),
    "speechless": Bad(
        "its_declaration_is_sound",
        HEAD.replace("It was seen", " ").replace("Made by a test", "two\\nlines") + GOOD,
        "summary= must be one line.*\n.*SEEN needs a description",
    ),
    "talks": Bad("it_answers_to_ordinary_mail", HEAD + HOOK + "    return 'spam'\n", "returned a value of type str"),
    "small": Bad(
        "it_answers_to_huge_mail",
        HEAD + HOOK + "    if message.size_octets > 5_000_000: raise MemoryError\n",
        r"inspect_message \(eight megabytes of text\): MemoryError",
    ),
    "trusting": Bad(
        "it_answers_to_hostile_mail", HEAD + HOOK + "    return Finding(None, message.authors[0].address.domain)\n", "nothing at all.*IndexError"
    ),
    "leaves": Bad("it_answers_to_ordinary_mail", HEAD + HOOK + "    raise SystemExit('bye')\n", "SystemExit: bye"),
    "invents": Bad(
        "its_symbols_are_declared", HEAD + HOOK + "    return [Finding('SEEM', 'x')]\n", "returned 'SEEM'; add it to symbols="
    ),
    "rewrites": Bad(
        "it_changes_nothing", HEAD + HOOK + "    object.__setattr__(session, 'peer_ip', '127.0.0.1')\n", "changed its session"
    ),
    "notes": Bad("it_changes_nothing", HEAD + HOOK + "    message.looked_at = True\n", "changed its message"),
    "retunes": Bad("it_changes_nothing", HEAD + HOOK + "    settings.marks['seen'] = 'yes'\n", "changed its settings"),
    "exports": Bad("it_leaves_the_process", HEAD + HOOK + "    os.environ['ACME'] = '1'\n", "changed the environment"),
    "opens": Bad(
        "it_leaves_the_process",
        HEAD + "kept = []" + HOOK + "    kept.append(open(os.devnull))\n",
        r"leave open files behind: \d+ more after",
    ),
    "starts": Bad(
        "it_leaves_the_process",
        HEAD + "kept = []" + HOOK + "    kept.append(asyncio.create_task(asyncio.sleep(3600)))\n",
        "leave tasks behind",
    ),
    "sleeps": Bad("its_async_hooks", HEAD + HOOK + "    time.sleep(0.001)\n", r"time.sleep \(sleeps.py:\d+\)"),
    "connects": Bad(
        "its_async_hooks",
        HEAD + "import socket" + HOOK + "    socket.socket().connect_ex(('127.0.0.1', 9))\n",
        r"connecting \(connects.py:\d+\)",
    ),
    "reckons": Bad(
        "its_async_hooks",
        HEAD + HOOK + "    if message.subject == 'Mittagessen für zwei':\n        end = time.thread_time() + 1.2\n        while time.thread_time() < end: pass\n",
        "computed for 1.* s without an await",
    ),
    "stops": Bad(
        "it_answers_to_ordinary_mail",
        HEAD + HOOK + "    end = time.monotonic() + 60\n    while time.monotonic() < end: time.sleep(0.1)\n",
        r"has stood still for .*stops.py:\d+",
    ),
    "naps": Bad(
        "its_async_hooks", HEAD + "\n@hookimpl(inline=True)\ndef inspect_message(message):\n    time.sleep(0.001)\n", r"time.sleep \(naps"
    ),
    "throws": Bad("it_is_the_same_each_time", HEAD + HOOK + "    return Finding(None, str(random.random()))\n", "when it is asked again"),
    "shuffles": Bad(
        "it_is_the_same_each_time", HEAD + HOOK + "    return Finding(None, ' '.join({str(n) for n in range(20)}))\n", "in another process"
    ),
    "shares": Bad(
        "it_serves_several_at_once",
        HEAD + "now = ''" + HOOK + "    global now\n    now = message.subject\n    await asyncio.sleep(0)\n    return Finding(None, now)\n",
        "when others are made at the same time",
    ),
    "insists": Bad(
        "it_stands_services_that_fail",
        HEAD
        + HOOK
        + "    while True:\n        try:\n            await services.resolver.resolve('a.example', 'A')\n            return None\n"
        + "        except DnsTemporaryError:\n            await asyncio.sleep(0.01)\n",
        "longer than its limit",
    ),
    "sulks": Bad(
        "it_stands_services_that_fail",
        HEAD
        + "broken = False"
        + HOOK
        + "    global broken\n    if broken: raise RuntimeError('never again')\n    try:\n"
        + "        await services.kv.get_many([b'a'])\n    except Exception:\n        broken = True\n        raise\n",
        "after the services work again: RuntimeError: never again",
    ),
    "clings": Bad(
        "it_can_be_cancelled",
        HEAD
        + HOOK
        + "    try:\n        await services.resolver.resolve('a.example', 'A')\n"
        + "    except asyncio.CancelledError:\n        await asyncio.sleep(3600)\n",
        "goes on after it was cancelled while it waited for services.resolver.resolve",
    ),
    "clutches": Bad(
        "it_can_be_cancelled",
        HEAD
        + HOOK
        + "    try:\n        await services.resolver.resolve('a.example', 'A')\n"
        + "    except asyncio.CancelledError:\n        await asyncio.sleep(3600)\n",
        "goes on after it was cancelled while it waited for services.resolver.resolve",
        mode="process",
    ),
    "locks": Bad(
        "it_can_be_cancelled",
        HEAD
        + "taken = False"
        + HOOK
        + "    global taken\n    if taken: raise RuntimeError('taken')\n    taken = True\n"
        + "    await services.kv.get_many([b'a'])\n    taken = False\n",
        "after one that was cancelled while it waited for services.kv.get_many: RuntimeError: taken",
    ),
    "latches": Bad(
        "two_sets_of_settings",
        HEAD + "first = None" + HOOK + "    global first\n    first = first or settings\n    return Finding(None, f'{first.words}')\n",
        "beside one that has others",
    ),
    "grunts": Bad(
        "wrong_settings",
        HEAD.replace(
            "\nplugin =", "    def __post_init__(self):\n        if self.words < 0: raise ValueError('bad value')\n\nplugin ="
        )
        + GOOD,
        "words: -1 is refused in the words 'bad value', which do not name the key",
    ),
    "chokes": Bad(
        "wrong_settings",
        HEAD.replace("\nplugin =", "    def __post_init__(self):\n        {3: 1, 4: 1}[self.words]\n\nplugin =") + GOOD,
        "words: -1 ends in KeyError",
    ),
    "swallows": Bad(
        "wrong_settings",
        HEAD + HOOK + "    return Finding(None, 'x' * (10 // settings.words))\n",
        r"words: 0 is accepted, and then inspect_message \(plain text\) fails: ZeroDivisionError",
    ),
}  # fmt: skip
CHECKS = [name for name in vars(Conformance) if name.startswith("test_")]


def check_of(bad: Bad) -> str:
    (found,) = [name for name in CHECKS if name.startswith(f"test_{bad.check}")]
    return found


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of each bad plugin what its check said, "" when it passed; run as an author would run it."""
    folder = tmp_path_factory.mktemp("bad")
    tests = ["from mailward.testing.conformance import Conformance"]
    wanted = []
    for name, bad in BAD.items():
        (folder / f"{name}.py").write_text(bad.source)
        tests.append(f"import {name}\nclass Test{name.title()}(Conformance):\n    plugin = {name}\n")
        mode = f"[{bad.mode}]" if "mode" in signature(getattr(Conformance, check_of(bad))).parameters else ""
        wanted.append(f"test_bad.py::Test{name.title()}::{check_of(bad)}{mode}")
    (folder / "test_bad.py").write_text("\n".join(tests))
    run_pytest(folder, "--junitxml=found.xml", *wanted)
    found = dict.fromkeys(BAD, "")
    for case in ET.parse(folder / "found.xml").iter("testcase"):
        name = str(case.get("classname")).rpartition(".Test")[2].lower()
        found[name] = "".join(f"{failure.get('message')}\n{failure.text}" for failure in case.iter("failure"))
    return found


def run_pytest(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "pythonpath=.", "--rootdir", ".", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", BAD)
def test_a_plugin_that_deserves_it_fails(name: str, failures: dict[str, str]) -> None:
    assert re.search(BAD[name].words, failures[name]), failures[name]


def test_every_check_has_a_plugin_that_fails_it() -> None:
    assert {check_of(bad) for bad in BAD.values()} == set(CHECKS)


def test_a_good_plugin_passes_and_has_its_line_for_the_readme(tmp_path: Path) -> None:
    (tmp_path / "acme.py").write_text(HEAD + GOOD)
    (tmp_path / "test_acme.py").write_text(
        "import acme\nfrom mailward.testing.conformance import Conformance\n\nclass TestAcme(Conformance):\n    plugin = acme\n"
    )
    said = run_pytest(tmp_path)
    assert f"acme: Mailward API 1 conformance: {len(CHECKS)} of {len(CHECKS)} passed, thread and process" in said, said


def test_the_page_names_every_check() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/conformance.md").read_text()
    assert re.findall(r"^\| `(test_\w+)`", page, re.MULTILINE) == CHECKS
