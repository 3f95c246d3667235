"""What mailward.yaml says, as checked values; docs/reference/config.md describes every key. It is read by `config_file`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mailward.delivery.limits import OutboundLimits
from mailward.delivery.static_hop import StaticHop
from mailward.formats.network import Network
from mailward.quarantine import UsersRelease
from mailward.store.base import EXPUNGED_KEPT_S
from mailward.store.events import Cause

Protocol = Literal["smtp", "submission", "lmtp", "imap", "pop3", "managesieve"]
SMTP_PROTOCOLS = ("smtp", "submission", "lmtp")
"""Those by which mail comes in."""
ListenerTls = Literal["none", "starttls", "implicit"]
POP3_RETRIEVED = ("seen", "unchanged")
"""What becomes of the flags of mail that a POP3 client has fetched."""
VERIFYING = ("off", "on", "strict")
"""strict: a recipient who cannot be asked for now is deferred; on: he is taken."""

SHARE_WITH_ANYONE = ("off", "on")
"""Whether users can share a mailbox with all others at once."""

IMAP_CAUSES: Mapping[str, Cause] = {"append": "APPEND", "copy": "COPY", "flag": "FLAG"}
"""After which commands the script of `imapsieve` is run, by the words of mailward.yaml."""

FULL_MAILBOX = ("wait", "return")
"""Mail for it waits for room, or goes back to its sender at once."""

CONFIG_VERSION = 1
DEFAULT_DNS = "127.0.0.1:53"


@dataclass(frozen=True, slots=True)
class Listener:
    """One port, or one unix socket. tls: none, starttls (offered) or implicit (from the first octet).

    unix: the socket, None for a port. proxy_from: the load balancers in front of it; empty where clients come by themselves.
    xclient_from: the mail servers that may say by XCLIENT whose mail they pass on. greet_delay_s: how late it greets.
    capabilities_off: what IMAP does not offer there.
    """

    name: str
    protocol: str
    address: str
    port: int
    tls: str
    proxy_from: tuple[Network, ...] = ()
    unix: "UnixSocket | None" = None
    xclient_from: tuple[Network, ...] = ()
    greet_delay_s: float = 0.0
    capabilities_off: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Where it listens, for people."""
        return f"{self.address} port {self.port}" if self.unix is None else str(self.unix.path)


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A listening socket with a path. mode: who may connect, as chmod takes it. owner: "user", "user:group" or ":group", "" for
    the user the server runs as.
    """

    path: Path
    mode: int
    owner: str


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Absolute paths of PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in octets; connections counted per protocol; what is counted per hour, of one stranger's address or of one account,
    0 for no limit. account_priority: the highest MT-PRIORITY of an account. exempt: networks whose hosts are not counted one by
    one.
    """

    message_octets: int = 25_000_000
    connections: int = 1000
    connections_per_address: int = 20
    connections_per_network: int = 40
    connections_per_minute: int = 120
    messages_per_hour: int = 0
    recipients_per_hour: int = 0
    octets_per_hour: int = 10_000_000_000
    null_sender_recipients: int = 0
    account_messages_per_hour: int = 500
    account_recipients_per_hour: int = 2000
    account_priority: int = 0
    free_disk_octets: int = 256 * 1024 * 1024
    exempt: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Outbound:
    """How mail leaves. port: of every host found by MX. source: addresses to connect from, at most one of each kind.
    hostname: our name there, "" for the server's own.

    private_networks: those that are not public and that MX records may lead to all the same.
    """

    limits: OutboundLimits = field(default_factory=OutboundLimits)
    port: int = 25
    source: tuple[str, ...] = ()
    hostname: str = ""
    private_networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class ImapSieve:
    """The script that messages meet when IMAP commands bring or change them. text: without mistakes. causes: of `IMAP_CAUSES`."""

    path: Path
    text: bytes
    causes: frozenset[Cause]


@dataclass(frozen=True, slots=True)
class QuarantineSettings:
    """How long mail is kept, and what users may let go of it. digest_hour: in the machine's time zone, None for no digests."""

    kept_s: float = 30 * 86400.0
    users_release: UsersRelease = field(default_factory=UsersRelease)
    digest_hour: int | None = None


DIGEST_HOUR = 7
"""Where the configuration wants digests and says no hour."""
DECISIONS_KEPT_S = 90 * 86400.0
LEAST_KEPT_S = 86400.0
"""Mail of today must be explainable whatever the configuration says, and what was expunged readable by who was not told yet."""
MOST_PROCESSES = 64
MOST_USUAL_PROCESSES = 4
"""Of a role, where the configuration does not say how many: one for each processor, as far as that."""

KEYS: Mapping[str, tuple[str, ...]] = {
    "": (
        "version", "hostname", "user", "data", "policies", "plugins", "tls", "dns", "listeners", "routes", "relay_domains",
        "verify_recipients", "full_mailbox", "pop3_retrieved", "share_with_anyone", "outbound", "limits", "processes",
        "decisions", "quarantine", "expunged", "imapsieve", "sieve_lists",
    ),
    "tls": ("certificate", "key"),
    "dns": ("servers",),
    "listeners.NAME": ("protocol", "address", "port", "tls", "socket", "mode", "owner", "proxy_from", "xclient_from",
                       "greet_delay", "capabilities_off"),
    "routes.NAME": ("host", "protocol", "port", "tls", "level", "user", "password", "source", "hostname"),
    "outbound": ("give_up_after", "delay_notice_after", "port", "connections_per_domain", "source", "hostname",
                 "private_networks"),
    "limits": tuple(Limits.__dataclass_fields__),
    "processes": ("smtp",),
    "decisions": ("keep",),
    "expunged": ("keep",),
    "imapsieve": ("script", "causes"),
    "quarantine": ("keep", "users_release", "digest", "digest_hour"),
}  # fmt: skip
"""Every key there is, by the mapping it stands in; NAME is the admin's own word. Those of `routes` are domains."""


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration. path: the file. folder: where it lies.

    routes: domain, or "*" for all others -> None to discard, or where its mail goes. relay_domains: those whose mail is taken
    from anybody though their mailboxes are elsewhere. verify_recipients: one of VERIFYING, are they asked for there first?
    smtp_processes: how many take mail. decisions_kept_s, expunged_kept_s: how long records of decisions, and expunged mail, are
    kept. sieve_lists: names of kept lists, by the URIs by which scripts ask them. isolated_plugins: no setting; those that the
    server itself gave a process of their own.
    """

    path: Path
    folder: Path
    hostname: str
    user: str | None
    data: Path
    policies: Path
    plugins: Path
    tls: TlsFiles
    dns_servers: tuple[tuple[str, int], ...]
    listeners: tuple[Listener, ...]
    routes: Mapping[str, StaticHop | None]
    relay_domains: frozenset[str]
    verify_recipients: str
    outbound: Outbound
    limits: Limits
    smtp_processes: int
    decisions_kept_s: float
    quarantine: QuarantineSettings = field(default_factory=QuarantineSettings)
    full_mailbox: str = "wait"
    pop3_retrieved: str = "seen"
    expunged_kept_s: float = EXPUNGED_KEPT_S
    share_with_anyone: str = "off"
    imapsieve: ImapSieve | None = None
    sieve_lists: Mapping[str, str] = field(default_factory=dict)
    isolated_plugins: frozenset[str] = frozenset()

    @property
    def directory_file(self) -> Path:
        return self.data / "directory.sqlite"

    @property
    def plugin_values(self) -> Path:
        """Where each plugin's key-value file is."""
        return self.data / "plugins"

    @property
    def auth_socket(self) -> Path:
        """Where the process that checks logins is asked."""
        return self.data / "run" / "auth.sock"

    @property
    def discarded_domains(self) -> frozenset[str]:
        """Those whose mail is kept nowhere; "*" may be among them."""
        return frozenset(domain for domain, hop in self.routes.items() if hop is None)

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def route_secrets(self) -> Path:
        """Where the passwords of smarthosts are, a file each."""
        return self.secrets / "routes"

    @property
    def dkim_keys(self) -> Path:
        return self.secrets / "dkim"

    @property
    def queue_socket(self) -> Path:
        """Where the queue process answers `mailward queue`."""
        return self.data / "run" / "queue.sock"

    @property
    def access_socket(self) -> Path:
        """Where the process that serves mail answers `mailward who` and `mailward kick`."""
        return self.data / "run" / "access.sock"

    @property
    def standing_orders(self) -> Path:
        """What an admin ordered for mail to come."""
        return self.data / "queue-orders.json"

    @property
    def smtp_sockets(self) -> tuple[Path, ...]:
        """Where the processes that take mail answer `mailward trace`."""
        return tuple(self.data / "run" / f"smtp{number}.sock" for number in range(self.smtp_processes))

    @property
    def lists_file(self) -> Path:
        """Of the lists whose entries commands keep."""
        return self.data / "lists.sqlite"

    @property
    def versions_file(self) -> Path:
        """Of the policies that were in force."""
        return self.data / "policies.sqlite"

    @property
    def decisions_file(self) -> Path:
        return self.data / "decisions.sqlite"

    @property
    def retro_file(self) -> Path:
        """Of what was done to mail after its delivery."""
        return self.data / "retro.sqlite"
