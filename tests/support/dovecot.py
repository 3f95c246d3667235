"""A real Dovecot from Debian with one account and no system users: the peer our IMAP is measured and compared with."""

import contextlib
import getpass
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from support.processes import RunningProgram, free_port, greets, program

USER = "demo@example.test"
PASSWORD = "correct horse battery staple"


class Dovecot:
    """Serves IMAP without TLS on `port`, every write synced. lmtp: it takes mail on `lmtp_socket`, too."""

    def __init__(self, folder: Path, mail_format: str, *, lmtp: bool) -> None:
        dovecot = program("dovecot", "dovecot-imapd")
        if lmtp:
            program("/usr/lib/dovecot/lmtp", "dovecot-lmtpd")
        self.port = free_port()
        self.lmtp_socket = folder / "run/lmtp"
        self._config = folder / "dovecot.conf"
        self._log = folder / "dovecot.log"
        user = "mailward" if os.geteuid() == 0 else getpass.getuser()
        for name in ("mail", "run", "state"):
            (folder / name).mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder / "mail", user, user)
        (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        self._config.write_text(
            f"""base_dir = {folder / "run"}
state_dir = {folder / "state"}
log_path = /dev/stderr
protocols = imap{" lmtp" if lmtp else ""}
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {user if os.geteuid() else "dovecot"}
default_login_user = {user if os.geteuid() else "dovenull"}
first_valid_uid = 1
mail_location = {mail_format}:{folder / "mail"}
mail_fsync = always
mail_max_userip_connections = 1000
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder / "users"}
}}
userdb {{
  driver = static
  args = uid={user} gid={user} home={folder / "mail"}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
"""
        )
        self._process = RunningProgram([dovecot, "-F", "-c", str(self._config)], self._log)
        self._process.wait_until(lambda: greets(self.port, b"* OK"))
        self.pid = int((folder / "run/master.pid").read_text())

    def stop(self) -> None:
        self._process.stop()


@contextlib.contextmanager
def dovecot(mail_format: str = "mdbox", *, lmtp: bool = False) -> Iterator[Dovecot]:
    """A running Dovecot with an empty mailbox."""
    folder = Path(tempfile.mkdtemp(prefix="mailward-dovecot-"))
    folder.chmod(0o755)
    made = Dovecot(folder, mail_format, lmtp=lmtp)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
