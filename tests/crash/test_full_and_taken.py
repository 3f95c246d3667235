"""A data folder that is full, has no inodes left, or is served already: refused in plain words, and nothing acknowledged is lost.

The folder is a small tmpfs in a mount namespace of the server's own, reached from outside through /proc.
"""

import contextlib
import os
import re
import shutil
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.oracle import ClientLog, Copy, judge, token_of
from support.relayed import QUIET
from support.server import COMMAND, Server, server

TO = "demo@example.test"
SMALL_TMPFS = """\
#!/bin/sh
# Serve with the data folder on a small file system.
exec unshare --mount sh -c '
set -e
cp -a {data} {data}.before
mount -t tmpfs -o {options} tmpfs {data}
chown --reference={data}.before {data}
chmod 700 {data}
cp -a {data}.before/. {data}/
exec {command} "$@"' sh "$@"
"""


@contextlib.contextmanager
def served_from_tmpfs(options: str) -> Iterator[tuple[Server, Path]]:
    """A server, and its data folder as seen from outside."""
    with server(policy=QUIET, start=False) as made:
        with made.config.open("a") as config:
            config.write("limits: {free_disk_octets: 1}\n")
        script = made.folder / "small"
        script.write_text(SMALL_TMPFS.format(data=made.folder / "data", options=options, command=COMMAND))
        script.chmod(0o755)
        made.command = str(script)
        made.start()
        assert made.process is not None
        yield made, Path(f"/proc/{made.process.pid}/root{made.folder}/data")


def send(made: Server, log: ClientLog, number: int, lines: int = 200) -> tuple[int, str]:
    token = f"token-{number}"
    try:
        code, text = made.send(log.sending(token, lines, [TO]))
    except (smtplib.SMTPException, OSError) as error:  # a connection lost is no 250
        return 0, str(error)
    if code == 250:
        log.acknowledged(token)
    return code, text


def check(made: Server, log: ClientLog) -> int:
    """Everything acknowledged is in the mailbox, soon; how much that is."""

    def arrived() -> list[Copy]:
        return [Copy("mailbox", TO, token_of(octets) or "", octets) for octets in made.messages()]

    made.until(lambda: not judge(log, arrived(), marked=False).lost, 90)
    return judge(log, arrived(), marked=False).require(why=made.log()).acknowledged


def test_t_q_05_a_full_disk_is_452_or_451_and_when_there_is_room_again_mail_flows_without_help() -> None:
    with served_from_tmpfs("size=24m") as (made, data):
        log = ClientLog(made.folder / "clients.log")
        assert [send(made, log, number)[0] for number in range(3)] == [250] * 3
        ballast = data / "ballast"
        with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as full:
            while True:
                full.write(bytes(4096))
        refused = [send(made, log, number) for number in range(10, 14)]
        assert all(code in (0, 250, 451, 452) for code, _ in refused) and refused[0][0] != 250, refused
        os.truncate(ballast, ballast.stat().st_size - 200_000)  # enough to begin with a message, and too little for it
        made.until(lambda: send(made, log, 20 + len(log.read()[0]), lines=20_000)[1].startswith("4.3."), 60)
        ballast.unlink()
        for _ in range(5):  # each process looks at the disk once a second
            made.until(lambda: send(made, log, 20 + len(log.read()[0]))[0] == 250, 60)
        assert check(made, log) >= 8


def test_t_q_06_a_disk_without_inodes_refuses_and_recovers_without_help() -> None:
    with served_from_tmpfs("size=64m,nr_inodes=200") as (made, data):
        log = ClientLog(made.folder / "clients.log")
        assert [send(made, log, number)[0] for number in range(3)] == [250] * 3
        (data / "many").mkdir()
        with pytest.raises(OSError, match="No space left"):
            for number in range(1000):
                (data / "many" / str(number)).touch()
        refused = [send(made, log, number, lines=20_000) for number in range(10, 14)]  # each wants a file of its own
        assert all(code in (0, 451, 452) for code, _ in refused), refused
        shutil.rmtree(data / "many")
        made.until(lambda: send(made, log, 20 + len(log.read()[0]), lines=20_000)[0] == 250, 60)
        assert check(made, log) >= 4


def test_t_q_09_a_second_server_on_one_data_folder_refuses_and_says_who_serves_it() -> None:
    with server() as made:
        assert made.process is not None
        second = made.folder / "second.yaml"
        ports = re.sub(r"\b(\d{4,5})\b", lambda found: str(int(found[1]) + 17), made.config.read_text())
        second.write_text(ports)
        done = subprocess.run([COMMAND, "serve", "-c", str(second)], capture_output=True, text=True, timeout=60, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 78, said
        assert f"the data folder {made.folder / 'data'} is served already, by process {made.process.pid}" in said
        assert made.send(b"Subject: still here\r\n\r\nx\r\n")[0] == 250


if os.geteuid() != 0:  # only root may mount what is full soon
    del (
        test_t_q_05_a_full_disk_is_452_or_451_and_when_there_is_room_again_mail_flows_without_help,
        test_t_q_06_a_disk_without_inodes_refuses_and_recovers_without_help,
    )
