"""What does a plugin answer in a fresh interpreter, where nothing else was asked of it before and every set has another order?"""

import asyncio
import base64
import importlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from mailward.testing.conformance.cases import cases
from mailward.testing.conformance.running import Rig, Subject
from mailward.testing.policies import Named
from mailward.testing.world import FakeServices

TIME_S = 300.0
_MARK = "answers: "


class FailedAlone(AssertionError):
    """The interpreter did not come to an end, or not to a good one."""


def answers_alone(
    subject: Subject, settings: Sequence[Mapping[str, object]], services: FakeServices, more: Mapping[str, bytes]
) -> list[dict[str, str]]:
    """For each set of settings: "hook (case)" -> the form of its answer or its error, for ordinary cases. Raises FailedAlone."""
    asked = {
        "plugin": _named(subject.plugin),
        "beside": [_named(one) for one in subject.beside],
        "settings": [dict(one) for one in settings],
        # Pickled by the test that runs this and read by nobody else.
        "services": base64.b64encode(pickle.dumps(services)).decode("ascii"),
        "more": {name: base64.b64encode(octets).decode("ascii") for name, octets in more.items()},
    }
    done = subprocess.run(  # noqa: S603  this interpreter
        [sys.executable, "-m", __name__],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=TIME_S,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "1"},
    )
    lines = [line.removeprefix(_MARK) for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode or len(lines) < len(settings):
        raise FailedAlone(f"in a fresh interpreter it fails: {(done.stderr or done.stdout).strip()[-1500:]}")
    return [json.loads(line) for line in lines]


async def forms(rig: Rig, more: Mapping[str, bytes]) -> dict[str, str]:
    """The same in this interpreter."""
    wanted = [case for hook in rig.hooks for case in cases(hook.hook, "ordinary", more)]
    return {str(answer): answer.error or answer.form for answer in await rig.answers(wanted)}


def _named(plugin: Named) -> Mapping[str, str]:
    return {"module": plugin.__name__} if isinstance(plugin, ModuleType) else {"name": plugin}


def _plugin(named: Mapping[str, str]) -> Named:
    return named["name"] if "name" in named else importlib.import_module(named["module"])


def _main() -> None:
    """Each set of settings has a process of its own, forked before anything was asked of the plugin."""
    asked: Any = json.load(sys.stdin)
    subject = Subject(_plugin(asked["plugin"]), tuple(_plugin(one) for one in asked["beside"]))
    more = {name: base64.b64decode(text) for name, text in asked["more"].items()}
    for settings in asked["settings"]:
        child = os.fork()
        if child == 0:
            services = pickle.loads(base64.b64decode(asked["services"]))  # noqa: S301  from the test that started this
            print(_MARK + json.dumps(asyncio.run(forms(Rig(subject, settings, services), more))), flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    _main()
