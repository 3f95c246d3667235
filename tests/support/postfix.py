"""A real Postfix from Debian that hands everything it is given to one other server: the peer most mail comes from.

It has its own configuration, queue and ports; Postfix insists on being started by root.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import free_port, greets, program

START_LIMIT_S = 20.0


class Postfix:
    """Listens on `port` and relays to `127.0.0.1:next_port`, with TLS when it is offered.

    settings: further lines of main.cf; a later line of the same name wins.
    """

    def __init__(self, folder: Path, next_port: int, settings: tuple[str, ...] = ()) -> None:
        self._postfix = program("postfix", "postfix")
        if os.geteuid() != 0:
            pytest.fail("a real Postfix can only be started by root; run make test as root")
        self.port = free_port()
        self.folder = folder
        self._etc = folder / "etc"
        self._queue = folder / "queue"
        self._log = folder / "postfix.log"
        data = folder / "data"
        for path in (self._etc, self._queue, data):
            path.mkdir(mode=0o755)
        shutil.chown(data, "postfix")
        for name in ("dynamicmaps.cf", "postfix-files"):
            shutil.copy(f"/etc/postfix/{name}", self._etc / name)
        for name in ("dynamicmaps.cf.d", "postfix-files.d"):
            (self._etc / name).mkdir()
        (self._etc / "master.cf").write_text(self._services())
        (self._etc / "main.cf").write_text(
            f"""compatibility_level = 3.6
queue_directory = {self._queue}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {self._log}
maillog_file_prefixes = {folder}
myhostname = relay.example.net
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{next_port}
smtp_tls_security_level = may
smtp_dns_support_level = disabled
smtpd_relay_restrictions = permit_mynetworks, reject
smtputf8_enable = yes
local_header_rewrite_clients =
minimal_backoff_time = 5s
maximal_backoff_time = 5s
queue_run_delay = 5s
"""
            + "".join(f"{line}\n" for line in settings)
        )
        self._run("start")
        deadline = time.monotonic() + START_LIMIT_S
        while not greets(self.port):
            if time.monotonic() > deadline:
                pytest.fail(f"Postfix did not start:\n{self.log()}")
            time.sleep(0.05)

    def _services(self) -> str:
        """The distribution's services without chroot, with one SMTP listener of ours."""
        lines = []
        for line in Path("/usr/share/postfix/master.cf.dist").read_text().splitlines():
            fields = line.split()
            if line.startswith("smtp      inet"):
                line = f"127.0.0.1:{self.port} inet n - n - - smtpd"
            elif len(fields) >= 8 and line[0].isalpha():
                fields[4] = "n"
                line = " ".join(fields)
            lines.append(line)
        return "\n".join(lines) + "\npostlog unix-dgram n - n - 1 postlogd\n"

    def _run(self, command: str) -> None:
        done = subprocess.run(
            [self._postfix, "-c", str(self._etc), command], capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode != 0:
            pytest.fail(f"postfix {command}: {done.stdout}{done.stderr}")

    def queued(self) -> int:
        """How many messages are still in its queue."""
        return sum(
            1
            for name in ("maildrop", "incoming", "active", "deferred")
            for path in (self._queue / name).rglob("*")
            if path.is_file()
        )

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else "(no log)"

    def stop(self) -> None:
        self._run("stop")


@contextlib.contextmanager
def postfix(next_port: int, *settings: str) -> Iterator[Postfix]:
    """A running Postfix that relays to `next_port`, with further lines of main.cf."""
    folder = Path(tempfile.mkdtemp(prefix="mailward-postfix-"))
    folder.chmod(0o755)
    made = Postfix(folder, next_port, settings)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
