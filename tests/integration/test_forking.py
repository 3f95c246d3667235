"""The tests' own short way to a `mailward` command: what is forked does as what is executed, and never outlives the tests."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import forking
from support.processes import ends_within, members
from support.server import COMMAND, PASSWORD, Server, server

TESTS = Path(__file__).parents[1]
LEFT_ALONE = """
import os, signal
from support.server import server
with server(policy="version: 1\\nplugins: {}\\n") as made:
    print(made.folder, made.process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def installed() -> Iterator[Server]:
    with server(start=False) as made:
        yield made


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (("--version",), "", 0),
        (("account", "--help"), "", 0),
        (("account", "show", "demo@example.test", "--json"), "", 0),
        (("account", "pasword", "demo@example.test"), "", 64),
        (("account", "password", "demo@example.test", "--password-stdin"), PASSWORD + "\n", 0),
        (("account", "password", "demo@example.test", "--password-stdin"), "short\n", 64),
        (("explain", "last"), "", 66),
        (("queue", "list"), "", 70),
        (("message", "inspect", "-"), "Subject: J\u00f6rg\n\nbody\n", 0),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_a_forked_command_says_what_an_executed_one_says(
    installed: Server, arguments: tuple[str, ...], stdin: str, code: int
) -> None:
    environment = {**os.environ, "MAILWARD_CONFIG": str(installed.config), "COLUMNS": "70", "TZ": "Asia/Tokyo"}
    words = [COMMAND, *arguments]
    executed = subprocess.run(words, input=stdin, capture_output=True, text=True, env=environment, check=False)
    forked = forking.run(words, environment, stdin, 60)
    assert (forked.returncode, forked.stdout, forked.stderr) == (executed.returncode, executed.stdout, executed.stderr)
    assert forked.returncode == code and forked.stdout + forked.stderr


def test_what_is_read_when_a_program_is_loaded_is_not_for_a_fork() -> None:
    assert forking.can_fork({**os.environ, "MAILWARD_CONFIG": "x", "COLUMNS": "70"})
    assert not forking.can_fork({**os.environ, "LD_PRELOAD": "clock.so"})
    assert not forking.can_fork({**os.environ, "PYTHONHASHSEED": "1"})


def test_servers_of_one_process_of_tests_count_each_for_itself() -> None:
    with server(policy="version: 1\nplugins: {}\n") as one, server(policy="version: 1\nplugins: {}\n") as other:
        ended = ("mailward_workers_ended_total", "access")
        os.kill(one.worker_pids("access")[-1], signal.SIGKILL)
        one.until(lambda: one.numbers().get(ended) == 1)
        assert ended not in other.numbers()


def test_the_end_of_the_tests_is_the_end_of_their_servers() -> None:
    path = os.pathsep.join([str(TESTS), *sys.path])
    words = [sys.executable, "-c", LEFT_ALONE]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as tests:
        assert tests.stdout is not None
        folder, pid = tests.stdout.readline().split()
        left = [os.pidfd_open(member) for member in members(int(pid))]
        assert tests.wait(60) == -signal.SIGKILL
    assert len(left) > 3 and all([ends_within(pidfd, 30) for pidfd in left])
    shutil.rmtree(Path(folder).parent)
