"""mailward.yaml: found, read and checked.

The file is read by the same YAML reader as policies, so a mistake is reported as file:line:column, all of them at once.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from mailward.access.imap.capabilities import SWITCHABLE
from mailward.app.backup.snapshot import is_in_snapshot
from mailward.app.config import (
    CONFIG_VERSION,
    DECISIONS_KEPT_S,
    DEFAULT_DNS,
    DIGEST_HOUR,
    FULL_MAILBOX,
    IMAP_CAUSES,
    KEYS,
    LEAST_KEPT_S,
    MOST_PROCESSES,
    MOST_USUAL_PROCESSES,
    POP3_RETRIEVED,
    SHARE_WITH_ANYONE,
    VERIFYING,
    Config,
    ImapSieve,
    Limits,
    Listener,
    ListenerTls,
    Outbound,
    Protocol,
    QuarantineSettings,
    TlsFiles,
    UnixSocket,
)
from mailward.app.config_values import ValueReader
from mailward.delivery.limits import OutboundLimits
from mailward.delivery.static_hop import FORMS, LMTP_PORT, Login, StaticHop, checked_port, parse_hop
from mailward.formats.network import LONGEST_SOCKET_PATH
from mailward.formats.yaml_nodes import Node, parse
from mailward.model.errors import ConfigError, PolicyError, Problem
from mailward.model.tls import TlsLevel
from mailward.quarantine import UsersRelease
from mailward.sieve import IMAP_LANGUAGE, ScriptError, compile_script
from mailward.sieve.lists import list_name
from mailward.store.base import EXPUNGED_KEPT_S

MOST_GREET_DELAY_S = 30.0
"""Well within the five minutes that clients wait for a greeting (RFC 5321 section 4.5.3.2.1), and within the minute we wait."""
DIGESTS = ("daily", "off")
_MODE = re.compile(r"0?[0-7]{3}")
_LONG_HOST = re.compile(r"\[?[0-9a-fA-F:.]+\]?|[A-Za-z0-9._-]+")
_SERVER = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})")


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
        raise ConfigError(f"-c before the command, or $MAILWARD_CONFIG, names {named}, which does not exist")
    for candidate in (Path("mailward.yaml"), Path("run/mailward.yaml"), Path("/etc/mailward/mailward.yaml")):
        if candidate.is_file():
            return candidate.resolve()
    raise ConfigError("no mailward.yaml here, in ./run or in /etc/mailward; make one with mailward quickstart, or use -c FILE")


def load_config(path: Path) -> Config:
    """Read and check a configuration file. Raises PolicyError with every problem, or ConfigError when it cannot be used."""
    if is_in_snapshot(path):
        folder = path.parent.parent
        raise ConfigError(
            f"{path} belongs to the snapshot {folder.name}, where nothing is to be written. To read its mail, bring it "
            f"beside what is there: mailward restore {folder.parent} --account ADDRESS --into MAILBOX"
        )
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


class _Reader(ValueReader):
    """What stands under each key."""

    def config(self, root: Node, path: Path) -> Config:
        self.known(root, "")
        if self.number(root, "version", None, 1, 1 << 30) != CONFIG_VERSION:
            self.wrong(root.at("version") or root, "version", f"this release reads version {CONFIG_VERSION}")
        tls = root.at("tls") or Node({}, root.file, root.line, root.column)
        self.known(tls, "tls")
        return Config(
            path=path,
            folder=self.folder,
            hostname=self.domain(self.text(root, "hostname", None), root.at("hostname") or root),
            user=self.text(root, "user", "") or None,
            data=self.path(self.text(root, "data", "data")),
            policies=self.path(self.text(root, "policies", "policies")),
            plugins=self.path(self.text(root, "plugins", "plugins")),
            tls=TlsFiles(self.file(tls, "certificate"), self.file(tls, "key")),
            dns_servers=self._servers(root),
            listeners=self._listeners(root),
            routes=self._routes(root),
            relay_domains=frozenset(self.domain(str(item.value), item) for item in self.items_of(root, "relay_domains")),
            verify_recipients=self.word(root, "verify_recipients", VERIFYING, "off"),
            full_mailbox=self.word(root, "full_mailbox", FULL_MAILBOX, "wait"),
            pop3_retrieved=self.word(root, "pop3_retrieved", POP3_RETRIEVED, "seen"),
            share_with_anyone=self.word(root, "share_with_anyone", SHARE_WITH_ANYONE, "off"),
            outbound=self._outbound(root),
            limits=self._limits(root),
            smtp_processes=self._smtp_processes(root),
            decisions_kept_s=self._kept_s(root, "decisions", DECISIONS_KEPT_S, "records are"),
            expunged_kept_s=self._kept_s(root, "expunged", EXPUNGED_KEPT_S, "mail is"),
            quarantine=self._quarantine(root),
            imapsieve=self._imapsieve(root),
            sieve_lists=self._sieve_lists(root),
        )

    def _kept_s(self, root: Node, key: str, usual_s: float, what: str) -> float:
        """What a section that may be missing says how long it keeps."""
        node = root.at(key)
        if node is None:
            return usual_s
        self.known(node, key)
        kept_s = self.duration(node, "keep", usual_s)
        if kept_s < LEAST_KEPT_S:
            problem, example = f"{what} kept for a day at least", f"keep: {round(usual_s / 86400)}d"
            self.wrong(node.at("keep") or node, f"{key}.keep", problem, example)
        return kept_s

    def _quarantine(self, root: Node) -> QuarantineSettings:
        node, usual = root.at("quarantine"), QuarantineSettings()
        if node is None:
            return usual
        kept_s = self._kept_s(root, "quarantine", usual.kept_s, "mail is")
        hour = self.number(node, "digest_hour", DIGEST_HOUR, 0, 23)
        is_daily = self.word(node, "digest", DIGESTS, "off") == "daily"
        return QuarantineSettings(kept_s, UsersRelease(frozenset(self._causes(node))), hour if is_daily else None)

    def _imapsieve(self, root: Node) -> ImapSieve | None:
        """The script is read and checked here, so that a mistake keeps the server from starting, and its old one in force."""
        node = root.at("imapsieve")
        if node is None:
            return None
        self.known(node, "imapsieve")
        causes = {str(item.value): item for item in self.items_of(node, "causes")}
        for word in causes.keys() - IMAP_CAUSES.keys():
            self.wrong(causes[word], "imapsieve.causes", f"'{word}' is no cause", f"Write {', '.join(IMAP_CAUSES)}.")
        found = frozenset(cause for word, cause in IMAP_CAUSES.items() if not causes or word in causes)
        path = self.path(self.text(node, "script", None))
        if node.at("script") is None:
            return None
        try:
            text = path.read_bytes()
            compile_script(text, IMAP_LANGUAGE)
        except PermissionError:
            raise
        except OSError as error:
            self.wrong(node.at("script") or node, "imapsieve.script", f"cannot read {path}: {error.strerror}")
            return None
        except ScriptError as error:
            self.problems += [Problem(f"{path}:{one.place}", "imapsieve.script", one.text) for one in error.problems]
            return None
        return ImapSieve(path, text, found)

    def _sieve_lists(self, root: Node) -> dict[str, str]:
        node, found = root.at("sieve_lists"), dict[str, str]()
        for text, item in (node.mapping if node is not None else {}).items():
            uri = list_name(text)
            if uri is None:
                self.wrong(
                    item, "sieve_lists", f"'{text}' is no URI of a list", "Write one such as tag:example.org,2026:partners."
                )
            elif not isinstance(item.value, str) or not item.value:
                self.wrong(item, f"sieve_lists.{text}", "the name of a list that mailward list keeps was expected")
            else:
                found[uri] = item.value
        return found

    def _causes(self, node: Node) -> Iterator[str]:
        for item in self.items_of(node, "users_release"):
            word = str(item.value)
            if UsersRelease.can_allow(word):
                yield word
            else:
                text = f"'{word}' says nothing that mail is kept by"
                self.wrong(item, "quarantine.users_release", text, "Write limits, rule:NAME or plugin:NAME.")

    def _smtp_processes(self, root: Node) -> int:
        node, usual = root.at("processes"), min(len(os.sched_getaffinity(0)), MOST_USUAL_PROCESSES)
        if node is None:
            return usual
        self.known(node, "processes")
        return self.number(node, "smtp", usual, 1, MOST_PROCESSES)

    def _limits(self, root: Node) -> Limits:
        node = root.at("limits")
        if node is None:
            return Limits()
        self.known(node, "limits")
        usual, most = Limits(), 1 << 40
        numbers = {
            name: self.number(
                node,
                name,
                getattr(usual, name),
                0 if name.endswith(("_hour", "_minute", "_recipients", "_priority")) else 1,
                9 if name.endswith("_priority") else most,
            )
            for name in KEYS["limits"]
            if name != "exempt"
        }
        return Limits(**numbers, exempt=tuple(self.network(item) for item in self.items_of(node, "exempt")))

    def _listeners(self, root: Node) -> tuple[Listener, ...]:
        node = root.at("listeners")
        if node is None or not node.mapping:
            self.wrong(
                root, "listeners", "at least one listener was expected", "mx: {protocol: smtp, address: 0.0.0.0, port: 25}"
            )
            return ()
        return tuple(self._listener(name, item) for name, item in node.mapping.items())

    def _listener(self, name: str, item: Node) -> Listener:
        self.known(item, "listeners.NAME", name)
        protocol = self.word(item, "protocol", get_args(Protocol), None)
        unix = self._unix_socket(name, item, protocol)
        tls = self.word(item, "tls", get_args(ListenerTls), "starttls" if unix is None else "none")
        if protocol == "submission" and tls == "none":
            self.wrong(
                item.at("tls") or item, f"listeners.{name}.tls", "nobody could log in without TLS", "Write starttls or implicit."
            )
        proxies = tuple(self.network(network) for network in self.items_of(item, "proxy_from"))
        trusted = tuple(self.network(network) for network in self.items_of(item, "xclient_from"))
        if trusted and protocol not in ("smtp", "submission", "lmtp"):
            self.wrong(item.at("xclient_from") or item, f"listeners.{name}.xclient_from", f"{protocol} has no XCLIENT")
        greet_delay_s = self.duration(item, "greet_delay", 0.0)
        if greet_delay_s and (protocol != "smtp" or greet_delay_s > MOST_GREET_DELAY_S):
            text = f"only smtp listeners may greet late, by {MOST_GREET_DELAY_S:g} s at most"
            self.wrong(item.at("greet_delay") or item, f"listeners.{name}.greet_delay", text)
        off = self._capabilities_off(name, item, protocol)
        if unix is not None:
            return Listener(name, protocol, "", 0, tls, proxies, unix, trusted)
        address, port = self.text(item, "address", "127.0.0.1"), self.number(item, "port", None, 1, 65535)
        if protocol == "lmtp" and port == 25:
            self.wrong(item.at("port") or item, f"listeners.{name}.port", "LMTP must not be on port 25 (RFC 2033 section 5)")
        return Listener(
            name, protocol, address, port, tls, proxies, xclient_from=trusted, greet_delay_s=greet_delay_s, capabilities_off=off
        )

    def _capabilities_off(self, name: str, item: Node, protocol: str) -> frozenset[str]:
        known = {capability.upper(): capability for capability in SWITCHABLE}
        off = set()
        for one in self.items_of(item, "capabilities_off"):
            if protocol == "imap" and str(one.value).upper() in known:
                off.add(known[str(one.value).upper()])
            else:
                text = f"'{one.value}' cannot be switched off" if protocol == "imap" else "only imap listeners have it"
                self.wrong(one, f"listeners.{name}.capabilities_off", text, f"These can: {', '.join(sorted(SWITCHABLE))}.")
        return frozenset(off)

    def _unix_socket(self, name: str, item: Node, protocol: str) -> UnixSocket | None:
        where = item.at("socket")
        if where is None:
            for key in ("mode", "owner"):
                if item.at(key) is not None:
                    self.wrong(item.at(key) or item, f"listeners.{name}.{key}", "only a unix socket has it", "Add socket: PATH.")
            return None
        if protocol != "lmtp":
            self.wrong(where, f"listeners.{name}.socket", "only lmtp can listen on a unix socket")
        for key in ("address", "port", "tls", "proxy_from"):
            if item.at(key) is not None:
                self.wrong(item.at(key) or item, f"listeners.{name}.{key}", "a unix socket has none", "Leave it out.")
        path = self.path(self.text(item, "socket", None))
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            self.wrong(where, f"listeners.{name}.socket", f"the path is longer than {LONGEST_SOCKET_PATH} octets")
        mode = self.text(item, "mode", "0600")
        if not _MODE.fullmatch(mode):
            self.wrong(item.at("mode") or item, f"listeners.{name}.mode", f"'{mode}' is no mode", 'Write "0660", in quotes.')
            mode = "0600"
        return UnixSocket(path, int(mode, 8), self.text(item, "owner", ""))

    def _routes(self, root: Node) -> dict[str, StaticHop | None]:
        node = root.at("routes")
        found: dict[str, StaticHop | None] = {}
        for domain, item in (node.mapping if node is not None else {}).items():
            name = domain if domain == "*" else self.domain(domain, item)
            found[name] = self._long_route(domain, item) if isinstance(item.value, dict) else self._short_route(item)
        return found

    def _short_route(self, item: Node) -> StaticHop | None:
        if item.value == "discard":
            return None
        try:
            return parse_hop(str(item.value))
        except ValueError as error:
            self.wrong(item, "", str(error), f"A route is discard, {FORMS}, or a mapping with host.")
            return None

    def _long_route(self, domain: str, item: Node) -> StaticHop:
        """Each password is asked to be safe: no login without TLS, and with the host's proof unless the admin says otherwise."""
        self.known(item, "routes.NAME", domain)
        host = _LONG_HOST.fullmatch(self.text(item, "host", None))
        if host is None and item.at("host") is not None:
            self.wrong(item.at("host") or item, f"routes.{domain}.host", "a name or an address was expected")
        is_lmtp = self.word(item, "protocol", ("smtp", "lmtp"), "smtp") == "lmtp"
        is_implicit = self.word(item, "tls", ("starttls", "implicit"), "starttls") == "implicit"
        user, secret = self.text(item, "user", ""), self.text(item, "password", "")
        if bool(user) is not bool(secret):
            self.wrong(
                item, f"routes.{domain}", "user and password go together", "password: NAME is the file secrets/routes/NAME."
            )
        usual = TlsLevel.VERIFIED if user else TlsLevel.REQUIRED if is_implicit else TlsLevel.OPPORTUNISTIC
        level = self.word(item, "level", tuple(one.value for one in TlsLevel), usual.value)
        if level == TlsLevel.OPPORTUNISTIC.value and (user or is_implicit):
            self.wrong(
                item.at("level") or item, f"routes.{domain}.level", "no login goes in clear", "Write required or verified."
            )
        usual_port = LMTP_PORT if is_lmtp else 465 if is_implicit else 587 if user else 25
        port = self.number(item, "port", usual_port, 1, 65535)
        try:
            checked_port(port, is_lmtp=is_lmtp)
        except ValueError as error:
            self.wrong(item.at("port") or item, f"routes.{domain}.port", str(error))
        return StaticHop(
            host.group().strip("[]").lower() if host is not None else "",
            port,
            is_implicit,
            TlsLevel(level) if level in {one.value for one in TlsLevel} else usual,
            Login(user, secret) if user else None,
            self._source(item),
            self._name(item),
            is_lmtp,
        )

    def _name(self, node: Node) -> str:
        """Our name in EHLO, "" when not given."""
        text = self.text(node, "hostname", "")
        return self.domain(text, node.at("hostname") or node) if text else ""

    def _outbound(self, root: Node) -> Outbound:
        node = root.at("outbound")
        if node is None:
            return Outbound()
        self.known(node, "outbound")
        usual = Outbound()
        limits = OutboundLimits(
            give_up_after_s=self.duration(node, "give_up_after", usual.limits.give_up_after_s),
            delay_notice_after_s=self.duration(node, "delay_notice_after", usual.limits.delay_notice_after_s),
            connections_per_domain=self.number(node, "connections_per_domain", usual.limits.connections_per_domain, 1, 100),
        )
        return Outbound(
            limits=limits,
            port=self.number(node, "port", usual.port, 1, 65535),
            source=self._source(node),
            hostname=self._name(node),
            private_networks=tuple(self.network(item) for item in self.items_of(node, "private_networks")),
        )

    def _source(self, node: Node) -> tuple[str, ...]:
        found = tuple(self.address(item) for item in self.items_of(node, "source"))
        if len({":" in address for address in found}) < len(found):
            self.wrong(node.at("source") or node, "source", "at most one IPv4 and one IPv6 address were expected")
        return found

    def _servers(self, root: Node) -> tuple[tuple[str, int], ...]:
        dns = root.at("dns")
        if dns is not None:
            self.known(dns, "dns")
        listed = root.at("dns", "servers")
        found = []
        for text, node in [(item.value, item) for item in listed.items] if listed is not None else [(DEFAULT_DNS, root)]:
            match = _SERVER.fullmatch(str(text))
            if match is None:
                self.wrong(node, "", f"'{text}' is no name server", 'Write "192.0.2.53:53" or "[2001:db8::53]:53", in quotes.')
            else:
                found.append((match["six"] or match["four"], int(match["port"])))
        return tuple(found)
