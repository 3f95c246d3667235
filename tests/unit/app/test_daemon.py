"""The supervisor with real processes: restart after a crash, death of a blocked worker, clean stop, death with its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailward.app.daemon import bind
from mailward.app.users import ServiceUser, drop_privileges
from mailward.model.errors import ConfigError

SCRIPT = """
import os, select, signal, sys, time
from mailward.app import daemon
from mailward.model.errors import ConfigError
daemon.BLOCKED_AFTER_S = 0.6
folder, kind = sys.argv[1:]

def worker(line):
    open(f"{folder}/{os.getpid()}", "w").close()
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    while kind == "slow" and not os.path.exists(f"{folder}/go"):
        time.sleep(0.01)
    signal.signal(signal.SIGHUP, lambda *_: open(f"{folder}/hup", "w").close())
    daemon.signals_heeded()
    first = len(os.listdir(folder)) == 1
    while not stop:
        os.write(line.alive_fd, b".")
        if kind == "crash" and first:
            os._exit(3)
        if kind == "blocked" and first:
            time.sleep(60)
        if select.select([line.parent_fd], [], [], 0.05)[0]:
            return

def check():
    if kind == "bad":
        raise ConfigError("inbound.yaml:1:1 is wrong")

sys.exit(daemon.Supervisor([daemon.RoleSpec("one", worker)], check_reload=check).run())
"""


class Run:
    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder), kind],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def pids(self) -> list[int]:
        return [int(p.name) for p in self.folder.iterdir() if p.name.isdigit()]

    def until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not ready():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Run]]:
    runs: list[Run] = []

    def start(kind: str) -> Run:
        runs.append(Run(tmp_path, kind))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.communicate()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("kind", ["crash", "blocked"])
def test_a_worker_that_crashes_or_blocks_is_replaced(start: Callable[[str], Run], kind: str) -> None:
    run = start(kind)
    run.until(lambda: len(run.pids()) == 2)
    run.process.send_signal(signal.SIGTERM)
    output, _ = run.process.communicate(timeout=20)
    assert run.process.returncode == 0
    assert b"worker ended" in output


def test_sigterm_stops_everything_with_exit_code_0(start: Callable[[str], Run]) -> None:
    run = start("good")
    run.until(lambda: len(run.pids()) == 1)
    run.process.send_signal(signal.SIGTERM)
    run.process.communicate(timeout=20)
    assert run.process.returncode == 0
    assert not any(_alive(pid) for pid in run.pids())


def test_a_worker_ends_when_its_supervisor_is_killed(start: Callable[[str], Run]) -> None:
    run = start("good")
    run.until(lambda: len(run.pids()) == 1)
    run.process.kill()
    run.until(lambda: not _alive(run.pids()[0]))


def test_reload_reaches_workers_only_when_the_configuration_is_good(start: Callable[[str], Run], tmp_path: Path) -> None:
    run = start("good")
    run.until(lambda: len(run.pids()) == 1)
    run.process.send_signal(signal.SIGHUP)
    run.until((tmp_path / "hup").exists)


def test_a_reload_that_comes_while_a_worker_starts_waits_for_it(start: Callable[[str], Run], tmp_path: Path) -> None:
    run = start("slow")
    run.until(lambda: len(run.pids()) == 1)
    (worker,) = run.pids()
    os.kill(worker, signal.SIGHUP)
    (tmp_path / "go").touch()
    run.until((tmp_path / "hup").exists)
    assert run.pids() == [worker] and _alive(worker)


def test_a_bad_configuration_is_named_and_not_passed_on(start: Callable[[str], Run], tmp_path: Path) -> None:
    run = start("bad")
    run.until(lambda: len(run.pids()) == 1)
    run.process.send_signal(signal.SIGHUP)
    run.process.send_signal(signal.SIGTERM)
    output, _ = run.process.communicate(timeout=20)
    assert b"inbound.yaml:1:1 is wrong" in output
    assert not (tmp_path / "hup").exists()


def test_a_port_that_is_taken_is_a_configuration_error_that_says_what_to_do() -> None:
    first = bind("127.0.0.1", 0)
    with first, pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1 port \d+: .*--port-offset"):
        bind("127.0.0.1", first.getsockname()[1])


def test_t_priv_01_root_is_given_up_for_good() -> None:
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):  # nobody but root can even try to become somebody else
            drop_privileges(ServiceUser("nobody", 65534, 65534))
        return
    child = os.fork()
    if child == 0:
        drop_privileges(ServiceUser("nobody", 65534, 65534))
        os._exit(0 if os.getresuid() == (65534, 65534, 65534) and os.getgroups() == [] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
