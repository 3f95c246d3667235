"""mailward.yaml: found, read and checked. docs/reference/config.md describes every key.

The file is read by the same YAML reader as policies, so a mistake is reported as file:line:column, all of them at once.
"""

import difflib
import ipaddress
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from mailward.delivery.outbound import OutboundLimits
from mailward.delivery.route import StaticHop
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.formats.duration import parse_duration
from mailward.formats.network import Network
from mailward.model.errors import ConfigError, PolicyError, Problem
from mailward.policy.nodes import Node, parse

Protocol = Literal["smtp", "submission", "lmtp", "imap", "pop3"]
ListenerTls = Literal["none", "starttls", "implicit"]
VERIFYING = ("off", "on", "strict")
"""strict: a recipient who cannot be asked for now is deferred; on: he is taken."""

CONFIG_VERSION = 1
DEFAULT_DNS = "127.0.0.1:53"
LONGEST_SOCKET_PATH = 107
"""sun_path of unix(7), without its last octet."""
_MODE = re.compile(r"0?[0-7]{3}")
_HOST = re.compile(r"smtp:(?:\[(?P<literal>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")
_SERVER = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Listener:
    """One port, or one unix socket. tls: none, starttls (offered) or implicit (from the first octet).

    unix: the socket, None for a port. proxy_from: the load balancers in front of it; empty where clients come by themselves.
    xclient_from: the mail servers that may say by XCLIENT whose mail they pass on.
    """

    name: str
    protocol: str
    address: str
    port: int
    tls: str
    proxy_from: tuple[Network, ...] = ()
    unix: "UnixSocket | None" = None
    xclient_from: tuple[Network, ...] = ()

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
    0 for no limit. exempt: networks whose hosts are not counted one by one.
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
    free_disk_octets: int = 256 * 1024 * 1024
    exempt: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Outbound:
    """How mail leaves. port: of every host found by MX. source: addresses to connect from, at most one of each kind.

    private_networks: those that are not public and that MX records may lead to all the same.
    """

    limits: OutboundLimits = field(default_factory=OutboundLimits)
    port: int = 25
    source: tuple[str, ...] = ()
    private_networks: tuple[Network, ...] = ()


MOST_PROCESSES = 64
MOST_USUAL_PROCESSES = 4
"""Of a role, where the configuration does not say how many: one for each processor, as far as that."""

KEYS: Mapping[str, tuple[str, ...]] = {
    "": (
        "version", "hostname", "user", "data", "policies", "plugins", "tls", "dns", "listeners", "routes", "relay_domains",
        "verify_recipients", "outbound", "limits", "processes",
    ),
    "tls": ("certificate", "key"),
    "dns": ("servers",),
    "listeners.NAME": ("protocol", "address", "port", "tls", "socket", "mode", "owner", "proxy_from", "xclient_from"),
    "outbound": ("give_up_after", "delay_notice_after", "port", "connections_per_domain", "source", "private_networks"),
    "limits": tuple(Limits.__dataclass_fields__),
    "processes": ("smtp",),
}  # fmt: skip
"""Every key there is, by the mapping it stands in; NAME is the admin's own word. Those of `routes` are domains."""


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration. path: the file. folder: where it lies.

    routes: domain, or "*" for all others -> None to discard, or where its mail goes. relay_domains: those whose mail is taken
    from anybody though their mailboxes are elsewhere. verify_recipients: one of VERIFYING, are they asked for there first?
    smtp_processes: how many take mail.
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

    @property
    def directory_file(self) -> Path:
        return self.data / "directory.sqlite"

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
    def dkim_keys(self) -> Path:
        return self.secrets / "dkim"

    @property
    def queue_socket(self) -> Path:
        """Where the queue process answers `mailward queue`."""
        return self.data / "run" / "queue.sock"

    @property
    def smtp_sockets(self) -> tuple[Path, ...]:
        """Where the processes that take mail answer `mailward trace`."""
        return tuple(self.data / "run" / f"smtp{number}.sock" for number in range(self.smtp_processes))

    @property
    def decisions_file(self) -> Path:
        return self.data / "decisions.sqlite"


def find_config(given: Path | None) -> Path:
    """The configuration file to use, absolute and without links. Raises ConfigError when there is none."""
    if given is not None:
        if given.is_file():
            return given.resolve()
        raise ConfigError(f"there is no configuration file {given}")
    named = os.environ.get("MAILWARD_CONFIG")
    if named:
        if Path(named).is_file():
            return Path(named).resolve()
        raise ConfigError(f"$MAILWARD_CONFIG names {named}, which does not exist")
    for candidate in (Path("mailward.yaml"), Path("run/mailward.yaml"), Path("/etc/mailward/mailward.yaml")):
        if candidate.is_file():
            return candidate.resolve()
    raise ConfigError("no mailward.yaml here, in ./run or in /etc/mailward; make one with mailward quickstart, or use -c FILE")


def load_config(path: Path) -> Config:
    """Read and check a configuration file. Raises PolicyError with every problem, or ConfigError when it cannot be read."""
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    root, problems = parse(octets, str(path))
    if root is None or problems:
        raise PolicyError(problems or [Problem(f"{path}:1:1", "", "the file is empty")])
    reader = _Reader(path.parent)
    try:
        config = reader.config(root, path)
    except PermissionError as error:
        user = root.at("user")
        whom = f"root or as {user.value}" if user is not None else "the user who runs the server"
        raise ConfigError(f"{error.filename} cannot be read by uid {os.geteuid()}; run this as {whom}") from error
    if reader.problems:
        raise PolicyError(reader.problems)
    return config


class _Reader:
    """Takes values out of nodes and collects what is wrong with them; a wrong value yields its default, so reading goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []

    def config(self, root: Node, path: Path) -> Config:
        self._known(root, "")
        if self._number(root, "version", None, 1, CONFIG_VERSION) != CONFIG_VERSION:
            self._wrong(root, "version", f"this release reads version {CONFIG_VERSION}")
        tls = root.at("tls") or Node({}, root.file, root.line, root.column)
        self._known(tls, "tls")
        return Config(
            path=path,
            folder=self.folder,
            hostname=self._domain(self._text(root, "hostname", None), root.at("hostname") or root),
            user=self._text(root, "user", "") or None,
            data=self._path(self._text(root, "data", "data")),
            policies=self._path(self._text(root, "policies", "policies")),
            plugins=self._path(self._text(root, "plugins", "plugins")),
            tls=TlsFiles(self._file(tls, "certificate"), self._file(tls, "key")),
            dns_servers=self._servers(root),
            listeners=self._listeners(root),
            routes=self._routes(root),
            relay_domains=frozenset(self._domain(str(item.value), item) for item in self._list(root, "relay_domains")),
            verify_recipients=self._word(root, "verify_recipients", VERIFYING, "off"),
            outbound=self._outbound(root),
            limits=self._limits(root),
            smtp_processes=self._smtp_processes(root),
        )

    def _smtp_processes(self, root: Node) -> int:
        node, usual = root.at("processes"), min(len(os.sched_getaffinity(0)), MOST_USUAL_PROCESSES)
        if node is None:
            return usual
        self._known(node, "processes")
        return self._number(node, "smtp", usual, 1, MOST_PROCESSES)

    def _limits(self, root: Node) -> Limits:
        node = root.at("limits")
        if node is None:
            return Limits()
        self._known(node, "limits")
        usual, most = Limits(), 1 << 40
        numbers = {
            name: self._number(
                node, name, getattr(usual, name), 0 if name.endswith(("_hour", "_minute", "_recipients")) else 1, most
            )
            for name in KEYS["limits"]
            if name != "exempt"
        }
        return Limits(**numbers, exempt=tuple(self._network(item) for item in self._list(node, "exempt")))

    def _listeners(self, root: Node) -> tuple[Listener, ...]:
        node = root.at("listeners")
        if node is None or not node.mapping:
            self._wrong(
                root, "listeners", "at least one listener was expected", "mx: {protocol: smtp, address: 0.0.0.0, port: 25}"
            )
            return ()
        return tuple(self._listener(name, item) for name, item in node.mapping.items())

    def _listener(self, name: str, item: Node) -> Listener:
        self._known(item, "listeners.NAME", name)
        protocol = self._word(item, "protocol", get_args(Protocol), None)
        unix = self._unix_socket(name, item, protocol)
        tls = self._word(item, "tls", get_args(ListenerTls), "starttls" if unix is None else "none")
        if protocol == "submission" and tls == "none":
            self._wrong(
                item.at("tls") or item, f"listeners.{name}.tls", "nobody could log in without TLS", "Write starttls or implicit."
            )
        proxies = tuple(self._network(network) for network in self._list(item, "proxy_from"))
        trusted = tuple(self._network(network) for network in self._list(item, "xclient_from"))
        if trusted and protocol not in ("smtp", "submission", "lmtp"):
            self._wrong(item.at("xclient_from") or item, f"listeners.{name}.xclient_from", f"{protocol} has no XCLIENT")
        if unix is not None:
            return Listener(name, protocol, "", 0, tls, proxies, unix, trusted)
        address, port = self._text(item, "address", "127.0.0.1"), self._number(item, "port", None, 1, 65535)
        if protocol == "lmtp" and port == 25:
            self._wrong(item.at("port") or item, f"listeners.{name}.port", "LMTP must not be on port 25 (RFC 2033 section 5)")
        return Listener(name, protocol, address, port, tls, proxies, xclient_from=trusted)

    def _unix_socket(self, name: str, item: Node, protocol: str) -> UnixSocket | None:
        where = item.at("socket")
        if where is None:
            for key in ("mode", "owner"):
                if item.at(key) is not None:
                    self._wrong(item.at(key) or item, f"listeners.{name}.{key}", "only a unix socket has it", "Add socket: PATH.")
            return None
        if protocol != "lmtp":
            self._wrong(where, f"listeners.{name}.socket", "only lmtp can listen on a unix socket")
        for key in ("address", "port", "tls", "proxy_from"):
            if item.at(key) is not None:
                self._wrong(item.at(key) or item, f"listeners.{name}.{key}", "a unix socket has none", "Leave it out.")
        path = self._path(self._text(item, "socket", None))
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            self._wrong(where, f"listeners.{name}.socket", f"the path is longer than {LONGEST_SOCKET_PATH} octets")
        mode = self._text(item, "mode", "0600")
        if not _MODE.fullmatch(mode):
            self._wrong(item.at("mode") or item, f"listeners.{name}.mode", f"'{mode}' is no mode", 'Write "0660", in quotes.')
            mode = "0600"
        return UnixSocket(path, int(mode, 8), self._text(item, "owner", ""))

    def _routes(self, root: Node) -> dict[str, StaticHop | None]:
        node = root.at("routes")
        found: dict[str, StaticHop | None] = {}
        for domain, item in (node.mapping if node is not None else {}).items():
            match = _HOST.fullmatch(str(item.value))
            if match is None and item.value != "discard":
                self._wrong(
                    item, "", "a route is discard or smtp:HOST:PORT", "Write smtp:mx.example.net:25 or smtp:[192.0.2.1]:25."
                )
            name = domain if domain == "*" else self._domain(domain, item)
            found[name] = (
                None if match is None else StaticHop(match["literal"] or match["name"].lower(), int(match["port"] or 25))
            )
        return found

    def _outbound(self, root: Node) -> Outbound:
        node = root.at("outbound")
        if node is None:
            return Outbound()
        self._known(node, "outbound")
        usual = Outbound()
        limits = OutboundLimits(
            give_up_after_s=self._duration(node, "give_up_after", usual.limits.give_up_after_s),
            delay_notice_after_s=self._duration(node, "delay_notice_after", usual.limits.delay_notice_after_s),
            connections_per_domain=self._number(node, "connections_per_domain", usual.limits.connections_per_domain, 1, 100),
        )
        return Outbound(
            limits=limits,
            port=self._number(node, "port", usual.port, 1, 65535),
            source=self._source(node),
            private_networks=tuple(self._network(item) for item in self._list(node, "private_networks")),
        )

    def _source(self, node: Node) -> tuple[str, ...]:
        found = tuple(self._address(item) for item in self._list(node, "source"))
        if len({":" in address for address in found}) < len(found):
            self._wrong(node.at("source") or node, "source", "at most one IPv4 and one IPv6 address were expected")
        return found

    def _network(self, item: Node) -> Network:
        try:
            return ipaddress.ip_network(str(item.value))
        except ValueError as error:
            self._wrong(item, "", f"'{item.value}' is no network: {error}", 'Write "10.0.0.0/8" or "fd00::/8", in quotes.')
            return ipaddress.ip_network("127.0.0.1/32")

    def _list(self, node: Node, key: str) -> list[Node]:
        item = node.at(key)
        if item is not None and not isinstance(item.value, list):
            self._wrong(item, key, "a list was expected", f"Write {key}: [first, second].")
        return [] if item is None else item.items

    def _address(self, item: Node) -> str:
        try:
            return str(ipaddress.ip_address(str(item.value)))
        except ValueError:
            self._wrong(item, "", f"'{item.value}' is no IP address")
            return ""

    def _duration(self, node: Node, key: str, default_s: float) -> float:
        item = node.at(key)
        if item is None:
            return default_s
        try:
            return int(parse_duration(str(item.value)).total_seconds())
        except ValueError as error:
            self._wrong(item, key, str(error))
            return default_s

    def _servers(self, root: Node) -> tuple[tuple[str, int], ...]:
        dns = root.at("dns")
        if dns is not None:
            self._known(dns, "dns")
        listed = root.at("dns", "servers")
        found = []
        for text, node in [(item.value, item) for item in listed.items] if listed is not None else [(DEFAULT_DNS, root)]:
            match = _SERVER.fullmatch(str(text))
            if match is None:
                self._wrong(node, "", f"'{text}' is no name server", 'Write "192.0.2.53:53" or "[2001:db8::53]:53", in quotes.')
            else:
                found.append((match["six"] or match["four"], int(match["port"])))
        return tuple(found)

    def _known(self, node: Node, mapping: str, admins_word: str = "") -> None:
        names = KEYS[mapping]
        prefix = f"{mapping.replace('NAME', admins_word)}." if mapping else ""
        if not isinstance(node.value, dict):
            self._wrong(node, "", f"keys were expected: {', '.join(names)}")
        for name in node.mapping:
            if name not in names:
                near = difflib.get_close_matches(name, names, 1)
                hint = f"Did you mean '{near[0]}'?" if near else f"Known here: {', '.join(names)}."
                self.problems.append(Problem(node.key_marks.get(name, node.where), prefix + name, "no such key", hint))

    def _text(self, node: Node, key: str, default: str | None) -> str:
        item = node.at(key)
        if item is None:
            if default is None:
                self._wrong(node, key, f"the key '{key}' is missing")
            return default or ""
        if not isinstance(item.value, str) or not item.value:
            self._wrong(item, key, "text was expected")
            return default or ""
        return item.value

    def _word(self, node: Node, key: str, words: tuple[str, ...], default: str | None) -> str:
        text = self._text(node, key, default)
        if text and text not in words:
            near = difflib.get_close_matches(text, words, 1)
            self._wrong(
                node.at(key) or node, key, f"one of {', '.join(words)} was expected", f"Did you mean '{near[0]}'?" if near else ""
            )
        return text

    def _number(self, node: Node, key: str, default: int | None, least: int, most: int) -> int:
        item = node.at(key)
        if item is None:
            if default is None:
                self._wrong(node, key, f"the key '{key}' is missing")
            return least if default is None else default
        if isinstance(item.value, bool) or not isinstance(item.value, int) or not least <= item.value <= most:
            self._wrong(item, key, f"a whole number from {least} to {most} was expected")
            return least
        return item.value

    def _domain(self, text: str, node: Node) -> str:
        try:
            return normalise_domain(text) if text else ""
        except AddressSyntaxError as error:
            self._wrong(node, "", f"'{text}' is no domain name: {error}")
            return ""

    def _path(self, text: str) -> Path:
        return (self.folder / text).absolute()

    def _file(self, node: Node, key: str) -> Path:
        path = self._path(self._text(node, key, None))
        if node.at(key) is not None and not _is_file(path):
            self._wrong(node.at(key) or node, f"tls.{key}", f"there is no file {path}")
        return path

    def _wrong(self, node: Node, key: str, text: str, hint: str = "") -> None:
        self.problems.append(Problem(node.where, key, text, hint))


def _is_file(path: Path) -> bool:
    """Raises PermissionError when that cannot be seen."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
