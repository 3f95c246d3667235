"""Writes the folder of a new installation: configuration, policies, certificate, and a first domain with keys and an account."""

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mailward.app.certificate import self_signed
from mailward.app.domains import give_roles, serve_domain
from mailward.app.users import drop_privileges, user_named
from mailward.auth.credentials import set_password
from mailward.auth.passwords import make_password
from mailward.directory import CredentialStore, Directory
from mailward.model.address import Address
from mailward.model.errors import ConfigError
from mailward.services.signing_keys import SigningKeys
from mailward.services.srs_keys import srs_keys

CLAMD_SOCKETS = (Path("/run/clamav/clamd.ctl"), Path("/var/run/clamav/clamd.ctl"))

PORTS = {
    "mx": 25, "submission": 587, "submissions": 465, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "managesieve": 4190
}  # fmt: skip
"""The standard ports of the listeners a new installation has; --port-offset is added to each."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What quickstart was asked for. password None: one is made up. user None: not started as root."""

    folder: Path
    domain: str
    account: Address
    password: str | None
    port_offset: int
    address: str
    hostname: str
    user: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """What quickstart did. password_file holds a made-up password, None when the caller gave one."""

    config_file: Path
    account: str
    password: str
    password_file: Path | None
    ports: dict[str, int]
    scanner: Path | None


def quickstart(plan: Plan) -> Result:
    """Write everything `mailward serve` needs below `plan.folder`. Raises ConfigError when that is not possible."""
    config_file = plan.folder / "mailward.yaml"
    if config_file.exists():
        raise ConfigError(f"{config_file} exists already; quickstart never changes an installation. Choose another folder.")
    account = plan.account
    if account.domain != plan.domain:
        raise ConfigError(f"the account {account} is not in the domain {plan.domain}")
    ports = {name: port + plan.port_offset for name, port in PORTS.items()}
    scanner = next((path for path in CLAMD_SOCKETS if path.exists()), None)

    _take_folder(plan.folder, plan.user)
    for name, mode in (
        ("policies", 0o755),
        ("policies/lists", 0o755),
        ("plugins", 0o755),
        ("tls", 0o700),
        ("data", 0o700),
        ("secrets", 0o700),
    ):
        (plan.folder / name).mkdir(mode=mode)
        (plan.folder / name).chmod(mode)
    certificate, key = self_signed(plan.hostname)
    _write(plan.folder / "tls/certificate.pem", certificate, 0o644)
    _write(plan.folder / "tls/key.pem", key, 0o600)
    _write(plan.folder / "policies/inbound.yaml", _inbound_policy(scanner).encode(), 0o644)
    _write(plan.folder / "policies/submission.yaml", _submission_policy(scanner).encode(), 0o644)
    _write(plan.folder / "plugins/README.md", DROP_INS.encode(), 0o644)

    srs_keys(plan.folder / "secrets")
    password = plan.password or make_password()
    directory_file = plan.folder / "data/directory.sqlite"
    with closing(Directory(directory_file)) as directory, closing(CredentialStore(directory_file)) as credentials:
        serve_domain(directory, SigningKeys(plan.folder / "secrets/dkim"), plan.domain)
        account_id = directory.add_account(account)
        set_password(credentials, account_id, password)
        give_roles(directory, plan.domain, account_id)
    password_file = None
    if plan.password is None:
        password_file = password_file_of(plan.folder, str(account))
        _write(password_file, password.encode() + b"\n", 0o600)
    _write(config_file, _config(plan, ports, name_servers()).encode(), 0o644)
    return Result(config_file, str(account), password, password_file, ports, scanner)


def password_file_of(folder: Path, account: str) -> Path:
    """Where the password is that quickstart made up. folder: of mailward.yaml. account: its first address."""
    return folder / f"secrets/{account}.password"


def name_servers(resolv_conf: Path = Path("/etc/resolv.conf")) -> tuple[str, ...]:
    """The name servers this machine uses, as "address:53"; the loopback one when none is configured."""
    found = []
    try:
        lines = resolv_conf.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and "%" not in words[1]:
            found.append(f"[{words[1]}]:53" if ":" in words[1] else f"{words[1]}:53")
    return tuple(found[:3]) or ("127.0.0.1:53",)


def _write(path: Path, octets: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        os.fchmod(file.fileno(), mode)


def _take_folder(folder: Path, user: str | None) -> None:
    """Make the folder, which must be new or empty. Root gives it to the service user and becomes that user for good, before
    anything is written into it: whoever could put links there would have root follow them (T-PRIV-05)."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{folder} is no folder of its own: {error.strerror}") from error
    try:
        if os.listdir(descriptor):  # noqa: PTH208  # of the folder that was opened, not of whatever has its name now
            raise ConfigError(f"{folder} is not empty; quickstart never changes what is there. Choose another folder.")
        if user is not None:
            service_user = user_named(user)
            owner = os.fstat(descriptor).st_uid
            if owner not in (0, service_user.uid):
                raise ConfigError(f"{folder} belongs to somebody else (uid {owner}). Choose another folder.")
            os.fchown(descriptor, service_user.uid, service_user.gid)
            drop_privileges(service_user)
    finally:
        os.close(descriptor)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"user '{user}' cannot write in {folder}: a folder above it is closed. Choose another folder.")


def _config(plan: Plan, ports: dict[str, int], servers: tuple[str, ...]) -> str:
    user = f"user: {plan.user}            # the server becomes this user when root starts it\n" if plan.user else ""
    quoted = ", ".join(f'"{server}"' for server in servers)
    return f"""\
# The configuration of this Mailward server. Relative paths start at this file's folder.
# Every key is described in docs/reference/config.md. After a change: restart, or for policies, plugins and
# certificate: mailward reload.
version: 1
hostname: {plan.hostname}
{user}data: data
policies: policies        # inbound.yaml judges mail from outside, submission.yaml what users send
plugins: plugins          # drop-in filters, one file each
tls: {{certificate: tls/certificate.pem, key: tls/key.pem}}
dns: {{servers: [{quoted}]}}
listeners:
  mx: {{protocol: smtp, address: "{plan.address}", port: {ports["mx"]}}}
  submission: {{protocol: submission, address: "{plan.address}", port: {ports["submission"]}, tls: starttls}}
  submissions: {{protocol: submission, address: "{plan.address}", port: {ports["submissions"]}, tls: implicit}}
  imap: {{protocol: imap, address: "{plan.address}", port: {ports["imap"]}, tls: starttls}}
  imaps: {{protocol: imap, address: "{plan.address}", port: {ports["imaps"]}, tls: implicit}}
  pop3: {{protocol: pop3, address: "{plan.address}", port: {ports["pop3"]}, tls: starttls}}
  pop3s: {{protocol: pop3, address: "{plan.address}", port: {ports["pop3s"]}, tls: implicit}}
  managesieve: {{protocol: managesieve, address: "{plan.address}", port: {ports["managesieve"]}, tls: starttls}}
routes: {{}}               # example.net: smtp:mx.example.net:25   sends its mail there and not to its MX
"""


def _antivirus(scanner: Path | None) -> str:
    if scanner is not None:
        return f"  antivirus: {{socket: {scanner}}}\n"
    return """\
  # No clamd was found when this file was written, so only the EICAR test file is recognised. Install Debian's
  # clamav-daemon and write:   antivirus: {socket: /run/clamav/clamd.ctl}
  antivirus: {engine: test-file}
"""


def _inbound_policy(scanner: Path | None) -> str:
    return f"""\
# Judges mail that arrives from outside. `extends` brings the shipped preset; see it all with:
#   mailward policy show --effective
version: 1
extends: mailward/inbound
plugins:
{_antivirus(scanner)}tests:
  - name: the EICAR test file is refused
    live: true
    message: {{mail_from: sender@example.net, rcpt: someone@example.org, attach: eicar}}
    expect: {{verdict: reject}}
"""


def _submission_policy(scanner: Path | None) -> str:
    return f"""\
# Judges what users send after they have logged in. No spam score; what carries a virus is not sent.
version: 1
extends: mailward/submission
plugins:
{_antivirus(scanner)}"""


DROP_INS = """\
Put a filter of one file here, for example acme_dlp.py, and name it under `plugins:` in policies/inbound.yaml.
`mailward plugins new acme_dlp --drop-in` writes one to start from. A file that others can write is refused.
"""
