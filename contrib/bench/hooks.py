"""What do hooks cost? One stage with 20 plugins that find nothing, and a start with 20 plugins.

The stage is `inspect_message` as a transaction calls it: order, limits, checks and records included; the hooks themselves do nothing.
"""

import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import structlog
import uvloop

from mailward.pipeline.chain import Chain
from mailward.pipeline.enabling import chain_of
from mailward.pipeline.plugins import PluginHost, stages_of
from mailward.policy import load_policy
from mailward.testing.making import make_envelope, make_message, make_session
from mailward.testing.world import FakeServices

PLUGINS = 20
CALLS = 300
TEXT = """\
from mailward.api import Plugin, hookimpl
plugin = Plugin(api=1, summary="Does nothing", capabilities=("body",))

{mark}
{way}def inspect_message(message):
    return None
"""
INLINE, ASYNC, DEF = ("@hookimpl(inline=True)", ""), ("@hookimpl", "async "), ("@hookimpl", "")
AIMS_US = {"inline": 60, "async": 200, "async, one isolated": 600}


def made_chain(folder: Path, mark: str, way: str, isolated: int = 0) -> Chain:
    """20 drop-ins in an inbound policy, the first few of them in processes of their own."""
    names = [f"p{number}" for number in range(PLUGINS)]
    plugins = folder / "plugins"
    plugins.mkdir(exist_ok=True)
    for name in names:
        (plugins / f"{name}.py").write_text(TEXT.format(mark=mark, way=way))
    host = PluginHost(plugins)
    declarations = host.enable(names)
    keys = {name: "{isolation: process}" if number < isolated else "{}" for number, name in enumerate(names)}
    file = folder / "inbound.yaml"
    file.write_text("version: 1\nplugins:\n" + "".join(f"  {name}: {text}\n" for name, text in keys.items()))
    policy = load_policy(file, declarations, stages=stages_of("inbound", map(host.load, names)))
    return chain_of(policy, host, FakeServices().of)


async def _stage_us(chain: Chain) -> float:
    """The median time of a stage, in microseconds."""
    arguments: Mapping[str, object] = {"session": make_session(), "envelope": make_envelope(), "message": make_message()}
    took = []
    for number in range(CALLS + 20):
        before = time.perf_counter()
        called = await chain.inspect("inspect_message", arguments, (), time.monotonic() + 60)
        if number >= 20:  # the first ones start what must be started
            took.append(time.perf_counter() - before)
        if any(one.failed for one in called):
            raise RuntimeError(next(one.call.error for one in called if one.failed))
    chain.close()
    return statistics.median(took) * 1e6


def start_s(folder: Path) -> tuple[float, float]:
    """A fresh interpreter, to a policy with 20 plugins that could judge: seconds, and those of the processor."""
    before = time.perf_counter()
    with subprocess.Popen([sys.executable, __file__, str(folder)]) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError("it did not start")
    return time.perf_counter() - before, used.ru_utime + used.ru_stime


def run(rounds: int) -> None:
    """Print the medians of all rounds, in which the cells take turns."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    cells = {"inline": (INLINE, 0), "async": (ASYNC, 0), "def, in threads": (DEF, 0), "async, one isolated": (ASYNC, 1)}
    took: dict[str, list[float]] = {name: [] for name in cells}
    starts = []
    for _ in range(rounds):
        for name, ((mark, way), isolated) in cells.items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder)
                took[name].append(uvloop.run(_of(path, mark, way, isolated)))
        with tempfile.TemporaryDirectory() as folder:
            starts.append(start_s(Path(folder)))
    for name, figures in took.items():
        aim = f"  (aim: below {AIMS_US[name]})" if name in AIMS_US else ""
        print(f"{PLUGINS} hooks, {name:<20} {statistics.median(figures):8.0f} us [{min(figures):.0f}-{max(figures):.0f}]{aim}")
    whole_s, used_s = (statistics.median(column) for column in zip(*starts, strict=True))
    print(f"start with {PLUGINS} plugins {whole_s:16.2f} s, {used_s:.2f} s of the processor  (aim: below 2)")


async def _of(path: Path, mark: str, way: str, isolated: int) -> float:
    return await _stage_us(made_chain(path, mark, way, isolated))


if __name__ == "__main__":
    made_chain(Path(sys.argv[1]), *ASYNC)
