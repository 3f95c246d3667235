"""Every hook, with a plugin that does everything wrong in the server's process and in one of its own: the outcome that is
documented, and the answers of the others as they were.

What blocks the event loop or ends the process can be tried here only where the plugin has its own; in the server's it costs a worker
(tests/integration/test_blocked_worker.py).
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mailward.pipeline import breaker
from mailward.pipeline.answers import reader_of
from mailward.pipeline.called import Called, Enabled
from mailward.pipeline.chain import Chain
from mailward.pipeline.isolation import connection
from mailward.pipeline.plugins import spec_arguments
from mailward.pipeline.stages import PLACES
from mailward.testing.calling import made_chain, ordinary_arguments
from mailward.testing.world import FakeServices
from support.plugin_modules import plugin_file

ANSWERS = {
    "inspect": "Finding('SEEN', 'seen', facts=OwnFacts(word='seen'))",
    "edit": "PrefixSubject('[seen] ')",
    "provide_identity": "Identity('a1', 'bob@example.org')",
    "provide_second_factor": "'accepted'",
    "provide_folder": "FolderChoice('Lists', 'of a list', make_up_to=7)",
    "collect_tls_requirement": "TlsRequirement(TlsLevel.REQUIRED, 'wanted')",
    "collect_commands": "AccountCommand('hello', 'Say hello.', hello)",
    "collect_dns_records": "DnsRecord('example.org.', 'TXT', 'v', 'Why.')",
    "on": "None",
}

BODY = """
import os

@dataclass(frozen=True)
class OwnSettings(Settings):
    fault: str = ""
    blocks: bool = False

plugin = dataclasses.replace(plugin, settings=OwnSettings)

async def hello(call):
    return CommandAnswer(f"hello {{call.address}}")

def act(fault, settings):
    if fault == "raises":
        raise KeyError("lost")
    if fault == "exits":
        sys.exit(3)
    if fault == "ends":
        os._exit(3)
    if fault == "crashes":
        import ctypes
        ctypes.string_at(0)
    if fault == "hangs":
        time.sleep(60 if settings.blocks else 0.5)
    if fault == "leaks":
        kept = []
        while True:
            kept.append(bytes(64 << 20))
    if fault == "returns rubbish":
        return Symbol(1.0, "no answer")
    if fault == "returns 10 MB":
        return b"x" * 10_000_000
    return {answer}

@hookimpl
{definition}
"""

DEF = """
def {hook}({arguments}):
    return act(settings.fault or services.secrets.read("fault").decode(), settings)
"""
ASYNC_DEF = """
async def {hook}({arguments}):
    fault = settings.fault or services.secrets.read("fault").decode()
    if fault == "hangs":
        await asyncio.sleep(60)
    return act("hangs" if fault == "blocks the loop" else fault, settings)
"""

LIMIT_S = 0.3
SAID = {
    "raises": "KeyError: 'lost' (line ",
    "exits": "SystemExit: 3",
    "hangs": f"it took longer than its limit of {LIMIT_S:g} s",
    "returns rubbish": "returned a value of type Symbol",
    "returns 10 MB": "returned a value of type bytes",
}
SAID_BY_A_PROCESS = {
    **SAID,
    "ends": "its process ended (exit code 3)",
    "crashes": "its process ended (killed by SIGSEGV)",
    "blocks the loop": SAID["hangs"],
    "leaks": "MemoryError",
}


class Stand:
    """A chain of a bad plugin and a good one, called again and again on one loop, as in a worker."""

    def __init__(self, folder: Path, hook: str, where: str, way: str, fault: str = "") -> None:
        self._runner = asyncio.Runner()
        self._hook = hook
        self._services = FakeServices()
        wanted = dict.fromkeys([*(name for name in spec_arguments(hook) if name != "evidence"), "settings", "services"])
        words = {"hook": hook, "arguments": ", ".join(f"{name}=None" if name == "services" else name for name in wanted)}
        answer = ANSWERS.get(hook) or ANSWERS[hook.partition("_")[0]]
        made = {"bad": ASYNC_DEF if way == "async" else DEF, "good": DEF}
        folder.mkdir()
        modules = [
            plugin_file(folder, name, BODY.format(answer=answer, definition=text.format(**words).strip()))
            for name, text in made.items()
        ]
        settings: dict[str, dict[str, object]] = {
            "bad": {"timeout": f"{int(LIMIT_S * 1000)}ms", "isolation": where, "fault": fault, "blocks": where == "process"},
            "good": {"fault": "none"},
        }
        self.chain = self._runner.run(self._chain(modules, settings))

    async def _chain(self, modules: list[ModuleType], settings: dict[str, dict[str, object]]) -> Chain:
        return made_chain(modules, self._services, self._hook, settings)

    def ask(self, fault: str) -> tuple[Called[object], Called[object]]:
        """What came of the bad plugin and of the good one, asked at the same time; again where only the machine was slow."""
        self._services.secrets["bad"].files["fault"] = fault.encode()
        for _ in range(20):
            bad, good = self._runner.run(self._asked())
            prompt = (good,) if fault in ("hangs", "blocks the loop") else (bad, good)
            if not any(called.call.error == SAID["hangs"] for called in prompt):
                break
        return bad, good

    async def _asked(self) -> tuple[Called[object], Called[object]]:
        bad, good = sorted(self.chain.enforced(self._hook), key=lambda one: one.name)
        arguments = {"evidence": self.chain.evidence(()), **ordinary_arguments(self._hook)}
        deadline = time.monotonic() + 60

        def asked(one: Enabled) -> Coroutine[Any, Any, Called[object]]:
            read = partial(reader_of(self._hook), plugin=one.plugin.declaration, arguments=arguments)
            return self.chain.ask(one, self._hook, arguments, read, deadline)

        first, second = await asyncio.gather(asked(bad), asked(good))
        for _ in range(3):
            await asyncio.sleep(0)  # a process that hangs is killed now, and not under the next call
        return first, second

    def close(self) -> None:
        self.chain.close()
        self._runner.close()


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stand]]:
    """A stand for each hook and way, kept for the faults to come; where the hook is given no services, for each fault."""
    made: dict[tuple[str, ...], Stand] = {}

    def get(hook: str, where: str, way: str, fault: str) -> Stand:
        key = (hook, where, way) if "services" in spec_arguments(hook) else (hook, where, way, fault)
        if key not in made:
            while made:  # the one before: a process each is enough
                made.popitem()[1].close()
            made[key] = Stand(tmp_path_factory.mktemp("plugins") / "own", *key)
        return made[key]

    yield get
    for one in made.values():
        one.close()


CASES = [
    (hook, where, way, fault)
    for hook in PLACES
    for where, said in (("none", SAID), ("process", SAID_BY_A_PROCESS))
    for way in ("def", "async")
    for fault in said
    if way == "async" or fault != "blocks the loop"
]


@pytest.mark.parametrize(("hook", "where", "way", "fault"), CASES)
def test_t_plug_03_what_a_plugin_does_wrong_is_its_own_failure(
    stand: Callable[..., Stand], monkeypatch: pytest.MonkeyPatch, hook: str, where: str, way: str, fault: str
) -> None:
    monkeypatch.setattr(breaker, "FEWEST_FAILURES", 1_000_000)
    monkeypatch.setattr(connection, "GRACE_S", 0.0)
    bad, good = stand(hook, where, way, fault).ask(fault)
    if hook.startswith("on_") and fault.startswith("returns"):
        assert bad.call.error is None
    else:
        assert SAID_BY_A_PROCESS[fault] in (bad.call.error or "")
    assert good.call.error is None
    if hook.startswith("inspect_"):
        assert [finding.text for finding in good.findings] == ["seen"]
    elif not hook.startswith("on_"):
        assert good.value


@pytest.mark.parametrize("way", ["def", "async"])
@pytest.mark.parametrize("hook", PLACES)
def test_a_hook_answers_the_same_from_a_process_of_its_own(stand: Callable[..., Stand], hook: str, way: str) -> None:
    isolated, here = stand(hook, "process", way, "none").ask("none")
    assert isolated.call.error is None
    if hook == "collect_commands":
        assert isinstance(isolated.value, tuple)
        (command,) = isolated.value
        assert (command.name, command.help) == ("hello", "Say hello.")
    elif hook.startswith("inspect_"):
        assert [replace(one, facts=None) for one in isolated.findings] == [replace(one, facts=None) for one in here.findings]
        assert [vars(one.facts) for one in isolated.findings] == [{"word": "seen", "count": 0, "share": 0.0, "names": ()}]
    else:
        assert isolated.value == here.value
