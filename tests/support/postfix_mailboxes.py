"""What makes the Postfix of `support.postfix` the home of a domain: mailboxes of its own, and TLS or none."""

import pwd
import time
from pathlib import Path

from support.postfix import Postfix


def home_of(domain: str, folder: Path, *, certificate: Path | None = None, key: Path | None = None) -> tuple[str, ...]:
    """Lines of main.cf. Every mailbox of the domain is a Maildir below `folder`. Without a certificate it has no STARTTLS."""
    owner = pwd.getpwnam("nobody")
    tls = ("smtpd_tls_security_level = may", f"smtpd_tls_chain_files = {key}, {certificate}") if certificate and key else ()
    return (
        f"virtual_mailbox_domains = {domain}",
        f"virtual_mailbox_base = {folder}",
        "virtual_mailbox_maps = static:all/",
        f"virtual_uid_maps = static:{owner.pw_uid}",
        f"virtual_gid_maps = static:{owner.pw_gid}",
        "virtual_minimum_uid = 1",
        *tls,
    )


def wait_for(folder: Path, relay: Postfix, count: int, timeout_s: float = 90.0) -> list[bytes]:
    """The messages in the Maildir once there are so many."""
    deadline = time.monotonic() + timeout_s
    while True:
        files = sorted((folder / "all/new").glob("*")) if (folder / "all/new").is_dir() else []
        if len(files) >= count:
            return [file.read_bytes() for file in files]
        assert time.monotonic() < deadline, f"{len(files)} of {count} messages\n{relay.log()}"
        time.sleep(0.1)
