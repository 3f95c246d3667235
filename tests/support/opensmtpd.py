"""A real OpenSMTPD from Debian as a client: it relays what it is given by one of several routes, in clear, over TLS and logged in.

Debian's mail transfer agents conflict, so it is unpacked beside the Postfix that is installed. Its spool, its socket and its users have
fixed names, so it runs in a mount namespace that has them, and in a process namespace that ends with it.
"""

import contextlib
import os
import shutil
import signal
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import RunningProgram, free_port, greets, program, unpacked
from support.server import open_folder

_USERS = "opensmtpd:x:65531:65531::/var/lib/opensmtpd/empty:/usr/sbin/nologin\nopensmtpq:x:65532:65532::/:/usr/sbin/nologin\n"
_GROUPS = "opensmtpd:x:65531:\nopensmtpq:x:65532:\n"
_ENTER = """set -e
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
for place in /var/spool /var/lib /run /etc/ssl/certs; do mount -t tmpfs -o mode=755 opensmtpd $place; done
mkdir -m 711 /var/spool/smtpd
mkdir -p /var/lib/opensmtpd/empty
cp "$2" /etc/ssl/certs/ca-certificates.crt
exec "$3" -d -f "$1/conf"
"""


class OpenSmtpd:
    """ports: where it listens for each route. log: what it says of itself."""

    def __init__(self, folder: Path, routes: dict[str, str], certificate: Path, account: str, password: str) -> None:
        if os.geteuid() != 0:
            pytest.fail("a real OpenSMTPD can only be run by root; run make test as root")
        self._folder = folder
        self.ports = {route: free_port() for route in routes}
        (folder / "passwd").write_text(Path("/etc/passwd").read_text() + _USERS)
        (folder / "group").write_text(Path("/etc/group").read_text() + _GROUPS)
        lines = [f'table logins {{ demo = "{account}:{password}" }}']
        for route, host in routes.items():
            lines += [
                f'listen on 127.0.0.1 port {self.ports[route]} tag "{route}" hostname relay.example.net',
                f'action "{route}" relay helo relay.example.net host "{host}"' + (" auth <logins>" if "demo@" in host else ""),
                f'match tag "{route}" from any for any action "{route}"',
            ]
        (folder / "conf").write_text("\n".join(lines) + "\n")
        (folder / "conf").chmod(0o600)
        arguments = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", _ENTER, "sh"]
        daemon = unpacked("opensmtpd") / "usr/sbin/smtpd"
        self._process = RunningProgram(
            [program("unshare", "util-linux"), *arguments, str(folder), str(certificate), str(daemon)], folder / "log"
        )
        self._process.wait_until(lambda: all(map(greets, self.ports.values())))

    def send(
        self, route: str, octets: bytes, sender: str, *to: str, mail: tuple[str, ...] = (), rcpt: tuple[str, ...] = ()
    ) -> None:
        """Hand it a message. mail, rcpt: parameters of these commands."""
        with smtplib.SMTP("127.0.0.1", self.ports[route], local_hostname="client.example.net", timeout=30) as client:
            assert client.sendmail(sender, to, octets, mail, rcpt) == {}

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        """All at once: its process namespace ends with its first process, which heeds no polite signal."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.stop()


@contextlib.contextmanager
def opensmtpd(routes: dict[str, str], certificate: Path, account: str, password: str) -> Iterator[OpenSmtpd]:
    """One that is running. routes: relay URLs (smtpd.conf(5)) by their names; "demo@" in one logs in as `account`."""
    folder = open_folder("mailward-opensmtpd-")
    try:
        made = OpenSmtpd(folder, routes, certificate, account, password)
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
