"""A real Exim from Debian, as a client and as a server: the peer that sends in chunks (BDAT) and asks for a reply per recipient (PRDR).

Debian's mail transfer agents conflict, so it is unpacked beside the Postfix that is installed. It insists on a user of its own, who
exists only where it runs: in a mount namespace with another /etc/passwd.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import RunningProgram, free_port, greets, program, unpacked

_USER = "Debian-exim:x:65533:65533::/nonexistent:/usr/sbin/nologin\n"
_GROUP = "Debian-exim:x:65533:\n"


class Exim:
    """Sends to 127.0.0.1:`port`. transport: further lines of its smtp transport. login: name and password, for PLAIN."""

    def __init__(
        self,
        folder: Path,
        port: int,
        transport: tuple[str, ...] = (),
        login: tuple[str, str] | None = None,
        *,
        offers_8bitmime: bool = True,
    ) -> None:
        if os.geteuid() != 0:
            pytest.fail("a real Exim can only be run by root; run make test as root")
        self._folder = folder
        self._program = unpacked("exim4-daemon-light") / "usr/sbin/exim4"
        (folder / "passwd").write_text(Path("/etc/passwd").read_text() + _USER)
        (folder / "group").write_text(Path("/etc/group").read_text() + _GROUP)
        for name in ("spool", "log"):
            (folder / name).mkdir()
            os.chown(folder / name, 65533, 65533)
        extra = "".join(f"  {line}\n" for line in transport)
        if login is not None:
            extra += "  hosts_require_auth = *\nbegin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n"
            extra += f"  client_send = ^{login[0]}^{login[1]}\n"
        (folder / "conf").write_text(
            f"""exim_path = {self._program}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
primary_hostname = relay.example.net
trusted_users = root
log_selector = +all
accept_8bitmime = {str(offers_8bitmime).lower()}
smtputf8_advertise_hosts = * : :
dsn_advertise_hosts = * : :
acl_smtp_rcpt = accept
begin routers
out:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = {port}
  hosts_try_chunking = *
{extra}
"""
        )
        os.chown(folder / "conf", 0, 0)
        (folder / "conf").chmod(0o644)

    def send(self, message: bytes, sender: str, *recipients: str, options: tuple[str, ...] = ()) -> str:
        """Deliver in the foreground; what its log says. message: CRLF or LF line ends."""
        return self._run(message, "-odi", "-i", *options, "-f", sender, *recipients)

    def hear(self, dialogue: bytes) -> str:
        """The same of what an SMTP client says to it (a mail with parameters, say) without waiting for replies."""
        return self._run(dialogue, "-odi", "-bs")

    @contextlib.contextmanager
    def listening(self) -> Iterator[int]:
        """As a server; its port."""
        port = free_port()
        running = RunningProgram(self._command("-bdf", "-oX", str(port)), self._folder / "daemon.log")
        try:
            running.wait_until(lambda: greets(port))
            yield port
        finally:
            running.stop()

    def log(self) -> str:
        path = self._folder / "log/mainlog"
        return path.read_text(errors="replace") if path.exists() else ""

    def _run(self, octets: bytes, *arguments: str) -> str:
        done = subprocess.run(self._command(*arguments), input=octets, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, f"{done.stdout!r} {done.stderr!r}\n{self.log()}"
        return self.log()

    def _command(self, *arguments: str) -> list[str]:
        run = f'mount --bind {self._folder}/passwd /etc/passwd && mount --bind {self._folder}/group /etc/group && exec "$@"'
        configured = (str(self._program), "-C", str(self._folder / "conf"))
        return [program("unshare", "util-linux"), "--mount", "sh", "-c", run, "sh", *configured, *arguments]
