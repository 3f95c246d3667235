"""A real Dovecot from Debian with one account and no system users: the peer our IMAP is measured and compared with."""

import contextlib
import getpass
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from support.certificates import Issued
from support.processes import RunningProgram, free_port, greets, program

USER = "demo@example.test"
FULL = "full@example.test"
"""Whose mailbox takes nothing any more."""
PASSWORD = "correct horse battery staple"
_LMTP = """\
mail_plugins = quota
plugin {{
  quota = count:User
  quota_vsizes = yes
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    port = {port}
  }}
}}
"""
_POP3 = """\
{setting}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""
_IMAPSIEVE = """\
protocol imap {{
  mail_plugins = imap_sieve
}}
plugin {{
  sieve_plugins = sieve_imapsieve
  sieve_extensions = +editheader
  imapsieve_mailbox1_name = *
  imapsieve_mailbox1_before = file:{folder}/%u.sieve
}}
"""


class Dovecot:
    """Serves IMAP on `port`, every write synced. lmtp: it takes mail on `lmtp_socket` and `lmtp_port`, too. mail: of its user.

    pop3: it serves POP3 on `pop3_port`. uidl_format: of its unique-ids there, "" for that which it has unless it is told otherwise.
    certificate: with STARTTLS, else in clear. imapsieve: further users, and the scripts that their commands meet.
    """

    def __init__(
        self,
        folder: Path,
        mail_format: str,
        *,
        lmtp: bool,
        pop3: bool,
        uidl_format: str,
        certificate: Issued | None,
        imapsieve: Mapping[str, str],
    ) -> None:
        dovecot = program("dovecot", "dovecot-imapd")
        if lmtp:
            program("/usr/lib/dovecot/lmtp", "dovecot-lmtpd")
        if pop3:
            program("/usr/lib/dovecot/pop3", "dovecot-pop3d")
        self.port = free_port()
        self.pop3_port = free_port()
        self.lmtp_socket = folder / "run/lmtp"
        self.lmtp_port = free_port()
        self.mail = folder / "mail" / USER
        self._config = folder / "dovecot.conf"
        self._log = folder / "dovecot.log"
        user = "mailward" if os.geteuid() == 0 else getpass.getuser()
        for name in ("mail", "run", "state"):
            (folder / name).mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder / "mail", user, user)
        full = f"{FULL}:{{PLAIN}}{PASSWORD}::::::userdb_quota_rule=*:bytes=1\n"
        users = "".join(f"{name}:{{PLAIN}}{PASSWORD}::::::\n" for name in (USER, *imapsieve))
        (folder / "users").write_text(users + full)
        for name, script in imapsieve.items():
            (folder / f"{name}.sieve").write_text(script)
        self._config.write_text(
            f"""base_dir = {folder / "run"}
state_dir = {folder / "state"}
log_path = /dev/stderr
protocols = imap{" lmtp" if lmtp else ""}{" pop3" if pop3 else ""}
listen = 127.0.0.1
{_tls(certificate)}
disable_plaintext_auth = no
default_internal_user = {user if os.geteuid() else "dovecot"}
default_login_user = {user if os.geteuid() else "dovenull"}
first_valid_uid = 1
mail_location = {mail_format}:{folder / "mail"}/%u
mail_fsync = always
mail_max_userip_connections = 1000
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder / "users"}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder / "users"}
  default_fields = uid={user} gid={user} home={folder / "mail"}/%u
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
{_LMTP.format(port=self.lmtp_port) if lmtp else ""}{_POP3.format(port=self.pop3_port, setting=f"pop3_uidl_format = {uidl_format}" if uidl_format else "") if pop3 else ""}{_IMAPSIEVE.format(folder=folder) if imapsieve else ""}"""
        )
        self._process = RunningProgram([dovecot, "-F", "-c", str(self._config)], self._log)
        self._process.wait_until(lambda: greets(self.port, b"* OK"))
        self.pid = int((folder / "run/master.pid").read_text())

    def stop(self) -> None:
        self._process.stop()


def _tls(certificate: Issued | None) -> str:
    return (
        "ssl = no" if certificate is None else f"ssl = yes\nssl_cert = <{certificate.certificate}\nssl_key = <{certificate.key}"
    )


@contextlib.contextmanager
def dovecot(
    mail_format: str = "mdbox",
    *,
    lmtp: bool = False,
    pop3: bool = False,
    uidl_format: str = "",
    certificate: Issued | None = None,
    imapsieve: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Dovecot]:
    """A running Dovecot with an empty mailbox."""
    folder = Path(tempfile.mkdtemp(prefix="mailward-dovecot-"))
    folder.chmod(0o755)
    made = Dovecot(
        folder, mail_format, lmtp=lmtp, pop3=pop3, uidl_format=uidl_format, certificate=certificate, imapsieve=imapsieve
    )
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
