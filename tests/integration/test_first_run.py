"""The first five minutes on an empty machine: a clone, `make run`, and what README and `make run` tell a newcomer to type.

Root gets an empty Debian 12 with nothing but `make`; anybody else the clone, an empty home and an empty environment.
Commands are taken from README and from what is printed, never typed here.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.clean_machine import CleanMachine, interrupt
from support.server import open_folder

pytestmark = pytest.mark.timeout(900)  # a system and everything Mailward needs are downloaded

ROOT = Path(__file__).parents[2]
READY_S = 400.0
SYSTEMS = Path("/var/tmp")
"""Where a whole system has room, devices and programs; the place of other tests' files may be in memory and lack them."""
PORTS = tuple(
    map(int, re.findall(r"\b2[0-9]{3}\b", re.findall(r"^make run .*$", (ROOT / "README.md").read_text(), re.MULTILINE)[0]))
)
"""Those that README names: of SMTP, submission, IMAP and POP3."""

Type = Callable[[str], "subprocess.CompletedProcess[str]"]
"""Types one line in the second terminal."""


def wait_told(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Until it is printed what to type, at which time nothing listens yet; what was printed till then."""
    deadline = time.monotonic() + READY_S
    while True:
        printed = log.read_text(errors="replace")
        assert process.poll() is None and time.monotonic() < deadline, printed[-3000:]
        if "Ctrl-C stops the server." in printed:
            return printed
        time.sleep(0.02)


def lines_to_type(printed: str) -> list[str]:
    """The commands that `make run` prints, and that README names are among them."""
    typed = [line.strip() for line in re.findall(r"^  (\S*mailward .*)$", printed, re.MULTILINE)]
    promised = re.findall(r"`mailward (try [^`]+|explain [^`]+)`", (ROOT / "README.md").read_text().split("\n## ")[0])
    assert promised, "README says what to type"
    for command in promised:
        assert any(f"mailward {command}" in line for line in typed), f"{command} is in README and not printed:\n{printed}"
    return typed


def follow(printed: str, type_in: Type) -> None:
    """Type everything that was printed, in its order, and see what a newcomer is promised."""
    seen = {}
    for line in lines_to_type(printed):
        done = type_in(line)
        deadline = time.monotonic() + 20
        while " try read" in line and "is empty" in done.stdout and time.monotonic() < deadline:
            done = type_in(line)  # delivery follows the 250 within moments
        assert done.returncode in (0, 1), f"{line}\n{done.stdout}\n{done.stderr}"
        seen[line.partition("mailward ")[2].partition(" -c ")[0]] = done
    assert re.match(r"250 2\.0\.0 Accepted, id \w+", seen["try send"].stdout)
    assert seen["try read"].stdout.startswith(
        "INBOX of demo@example.test: 1 message; the newest:\n\nReturn-Path: <try@sender.invalid>\n"
    )
    assert "A mail to try Mailward with" in seen["try read"].stdout
    assert seen["try send --eicar"].returncode == 1 and seen["try send --eicar"].stdout.startswith("554 5.7.1 ")
    assert re.match(r"REJECT  demo@example\.test   rule infected", seen["explain last"].stdout)
    assert re.search(r"antivirus .*VIRUS_FOUND", seen["explain last"].stdout)


def ports_are_free() -> None:
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))


def ended(process: "subprocess.Popen[bytes]") -> None:
    process.wait(40)
    ports_are_free()


if os.geteuid() == 0:

    @pytest.fixture(scope="module")
    def bare() -> Iterator[CleanMachine]:
        """A minimal Debian with `make`, and no Python."""
        folder = open_folder(place=SYSTEMS)
        try:
            yield CleanMachine.make(folder / "debian", ["make"])
        finally:
            shutil.rmtree(folder)

    @pytest.fixture
    def machine(bare: CleanMachine) -> Iterator[CleanMachine]:
        folder = open_folder(place=SYSTEMS)
        try:
            yield bare.copy(folder / "debian")
        finally:
            shutil.rmtree(folder)

    def served(machine: CleanMachine, user: str, place: str) -> None:
        """`make run`, everything it prints, Ctrl-C."""
        ports_are_free()
        log = machine.root.parent / "log"
        process = machine.start("make run", log, user=user, cwd=place)
        try:
            follow(wait_told(process, log), lambda line: machine.run(line, user=user, cwd=place))
            interrupt(process)
            ended(process)
            assert "Traceback" not in log.read_text(errors="replace")
        finally:
            process.kill()
            process.wait(10)

    def test_root_in_a_clone_below_its_home(machine: CleanMachine) -> None:
        machine.clone(ROOT, "/root/mailward", owner="root")
        assert not (machine.root / "usr/bin/python3").exists()
        served(machine, "root", "/root/mailward")

    def test_somebody_does_what_they_are_told_and_then_it_runs(machine: CleanMachine) -> None:
        machine.add_user("ann")
        machine.clone(ROOT, "/home/ann/mailward", owner="ann")
        told = machine.run("make run", user="ann", cwd="/home/ann/mailward")
        assert told.returncode != 0
        (command,) = re.findall(r"^make: .*\(Debian: sudo (apt-get install [^)]+)\)$", told.stderr, re.MULTILINE)
        assert machine.run(command.replace("install", "install -y -qq --no-install-recommends"), user="root").returncode == 0
        served(machine, "ann", "/home/ann/mailward")
        left = machine.run("find / -xdev -user ann -not -path '/home/ann/mailward/*' -not -path '/proc/*'", user="root").stdout
        assert all(path.startswith("/home/ann") for path in left.split()), f"it leaves nothing outside its owner's home: {left}"

else:

    def test_a_clone_an_empty_home_and_an_empty_environment() -> None:
        ports_are_free()
        folder = open_folder()
        place, home, log = folder / "mailward", folder / "home", folder / "log"
        home.mkdir()
        subprocess.run(["git", "clone", "-q", "--no-local", ROOT, place], check=True, timeout=60)
        environment = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["make", "run"], cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

        def type_in(line: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                ["sh", "-c", line], cwd=place, env=environment, capture_output=True, text=True, timeout=120, check=False
            )

        try:
            follow(wait_told(process, log), type_in)
            interrupt(process)
            ended(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            shutil.rmtree(folder)
