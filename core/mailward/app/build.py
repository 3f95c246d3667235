"""All wiring: which object gets which. One class a worker role, with `start`, `stop` and `reload`."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mailward.access.imap.session import Desk as ImapDesk
from mailward.access.pop3.leases import Leases
from mailward.access.pop3.session import Desk as Pop3Desk
from mailward.app.config import Config, Listener
from mailward.app.filters import load_filters
from mailward.app.judging import PluginServices, make_judge
from mailward.app.relaying import make_questions, make_relay
from mailward.app.watching import Watchers
from mailward.auth.acquaintances import Acquaintances
from mailward.auth.authenticator import ChainAuthenticator
from mailward.auth.chain import LoginChain
from mailward.auth.credentials import KeptCredentials
from mailward.auth.passwords import PasswordChecker
from mailward.decisions import DecisionStore
from mailward.delivery.control import QueueControl
from mailward.delivery.manager import DeliveryManager
from mailward.delivery.mda import Mda
from mailward.delivery.outbound import OutboundManager
from mailward.delivery.passes import Passes
from mailward.delivery.reporting import SpooledReports
from mailward.directory import CredentialStore, Directory
from mailward.disk import Disk
from mailward.intake.allowances import Allowances, HourlyLimits
from mailward.intake.reception import Desk as ReceptionDesk
from mailward.intake.reception import Reception
from mailward.intake.relaying import RelayGuard
from mailward.intake.submission import SubmissionRights
from mailward.intake.verifying import RecipientVerifier
from mailward.model.session import Role, Session
from mailward.net.admission import Admission, AdmissionLimits, watch_for_stress
from mailward.net.authd import AuthServer, RemoteAuthenticator
from mailward.net.imapd import ImapListener, ImapSettings
from mailward.net.pop3d import Pop3Listener, Pop3Settings
from mailward.net.queued import QueueServer
from mailward.net.revoking import Revoking
from mailward.net.smtpd import SmtpListener, SmtpSettings
from mailward.net.stream import StreamListener
from mailward.net.tls import renew_certificates, server_context, use_certificate
from mailward.net.tracing import Traces, trace_server
from mailward.pipeline.chain import Chain
from mailward.pipeline.events import Events
from mailward.pipeline.judge import Judge, chain_of
from mailward.pipeline.logins import Logins
from mailward.pipeline.relays import Relays
from mailward.protocol.smtp.states import Limits
from mailward.quarantine import Quarantine
from mailward.queue.agenda import Agenda
from mailward.queue.spool import Spool
from mailward.services.blocking import BlockingPool
from mailward.services.clock import SystemClock
from mailward.services.kv import SqliteKeyValue
from mailward.services.shared import Seats
from mailward.store.changes import Hints
from mailward.store.embedded import EmbeddedStore

BoundListener = tuple[Listener, socket.socket]


def _contexts(listeners: Iterable[Listener], config: Config) -> dict[str, ssl.SSLContext]:
    """The TLS contexts of those that have TLS, by name. One each: a ticket of one service is good on no other."""
    return {
        listener.name: server_context(config.tls.certificate, config.tls.key) for listener in listeners if listener.tls != "none"
    }


def _admissions(config: Config, protocols: Sequence[str], seats: Seats | None = None) -> dict[str, Admission]:
    """Connections are counted per protocol: strangers cannot take the users' places."""
    limits = config.limits
    admission = AdmissionLimits(
        total=limits.connections,
        per_address=limits.connections_per_address,
        per_network=limits.connections_per_network,
        per_minute=limits.connections_per_minute,
        exempt=limits.exempt,
    )
    return {name: Admission(admission, seats) for name in protocols}


def _admission_of_servers(config: Config, seats: Seats) -> Admission:
    """Where the clients are a few mail servers, with many connections each."""
    total = config.limits.connections
    return Admission(AdmissionLimits(total=total, per_address=total, per_network=total, per_minute=0), seats)


def _allowances(config: Config) -> Allowances:
    limits = config.limits
    strangers = HourlyLimits(limits.messages_per_hour, limits.recipients_per_hour, limits.octets_per_hour)
    accounts = HourlyLimits(limits.account_messages_per_hour, limits.account_recipients_per_hour)
    return Allowances(strangers, accounts, limits.exempt)


SMTP_PROTOCOLS = ("smtp", "submission", "lmtp")


class SmtpShared:
    """What the processes that take mail have in common, made before they are forked: what they count, and the keys of their
    TLS tickets, so that a client is known again by whichever it meets."""

    def __init__(self, config: Config) -> None:
        self.seats = Seats(config.smtp_processes)
        self.admissions = _admissions(config, ("smtp", "submission"), self.seats)
        self.admissions["lmtp"] = _admission_of_servers(config, self.seats)
        self.allowances = _allowances(config)
        self.contexts = _contexts([one for one in config.listeners if one.protocol in SMTP_PROTOCOLS], config)


def _verifier(config: Config) -> RecipientVerifier | None:
    if config.verify_recipients == "off":
        return None
    return RecipientVerifier(make_questions(config).ask, is_strict=config.verify_recipients == "strict")


class _Delivering:
    """What both roles that deliver need: store, quarantine, decisions, spool, manager, reports."""

    def __init__(self, config: Config, owner: str, directory: Directory) -> None:
        disk, clock = Disk(), SystemClock()
        self.hints = Hints(config.data / "hints")
        self.store = EmbeddedStore(config.data / "accounts", disk, self.hints)
        self.quarantine = Quarantine(config.data / "quarantine", disk)
        self.decisions = DecisionStore(config.decisions_file)
        self.spool = Spool(config.data / "spool", disk, owner=owner)
        self.mda = Mda(self.store, self.quarantine)
        self.agenda = Agenda(self.spool, clock)
        self.reports = SpooledReports(self.spool, self.agenda, directory, config.hostname)
        self.manager = DeliveryManager(self.spool, self.mda, self.decisions, clock, reports=self.reports)

    async def stop(self) -> None:
        await self.manager.stop()
        await self.spool.close()
        self.store.close()
        self.quarantine.close()
        self.decisions.close()
        self.hints.close()


class SmtpRole:
    """Takes mail from strangers and from users who log in, judges it, and makes the first attempt at delivery.

    One of several processes that do so. seat: which of them.
    """

    def __init__(self, config: Config, bound: Sequence[BoundListener], shared: SmtpShared, seat: int) -> None:
        shared.seats.take(seat)
        use_certificate(shared.contexts.values(), config.tls.certificate, config.tls.key)  # newer than the fork, perhaps
        self._config = config
        self._shared = shared
        self._bound = bound
        self._services = PluginServices(config)
        self._judges = self._make_judges(config)
        self._directory = Directory(config.directory_file)
        self._authenticator = RemoteAuthenticator(config.auth_socket)
        self._blocking = BlockingPool(2)  # the core's own, so that no plugin's stuck thread can hold up a reply
        self._delivering = _Delivering(config, f"smtp{os.getpid()}", self._directory)
        self._listeners: list[SmtpListener] = []
        self._traces = Traces()
        self._watching = trace_server(config.smtp_sockets[seat], self._traces)
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        config, delivering = self._config, self._delivering
        disk = Disk()
        desk = ReceptionDesk(
            hostname=config.hostname,
            judge=lambda role: self._judges[role],
            guard=RelayGuard(self._directory, config.relay_domains, config.discarded_domains),
            rights=SubmissionRights(self._directory),
            authenticator=self._authenticator,
            spool=delivering.spool,
            decisions=delivering.decisions,
            clock=SystemClock(),
            run_blocking=self._blocking,
            on_committed=delivering.manager.offer,
            free_octets=lambda: disk.free_octets(config.data),
            least_free_octets=config.limits.free_disk_octets,
            allowances=self._shared.allowances,
            null_recipients=config.limits.null_sender_recipients,
            verifier=_verifier(config),
        )

        def reception(session: Session) -> Reception:
            return Reception(desk, session)

        admissions = self._shared.admissions
        for listener, sock in self._bound:
            is_submission, is_lmtp = listener.protocol == "submission", listener.protocol == "lmtp"
            limits = Limits(message_octets=config.limits.message_octets)
            settings = SmtpSettings(
                hostname=config.hostname,
                listener=listener.name,
                role=Role.SUBMISSION if is_submission else Role.MX,
                mechanisms=self._authenticator.mechanisms if is_submission else None,
                limits=replace(limits, errors=limits.recipients) if is_lmtp else limits,  # refused recipients are the client's
                implicit_tls=listener.tls == "implicit",
                lmtp=is_lmtp,
                xclient_from=listener.xclient_from,
                proxies=listener.proxy_from,
            )
            context = self._shared.contexts.get(listener.name)
            started = SmtpListener(settings, reception, context, admissions[listener.protocol], self._traces)
            await started.serve(sock)
            self._listeners.append(started)
        self._looking = asyncio.create_task(watch_for_stress(admissions.values()))
        await self._watching.start()

    def reload(self, config: Config) -> None:
        """Transactions under way keep the old judge. Raises ConfigError, and then nothing has changed."""
        judges = self._make_judges(config)
        renew_certificates(self._shared.contexts.values(), config.tls.certificate, config.tls.key)
        self._judges = judges

    def _make_judges(self, config: Config) -> dict[Role, Judge]:
        filters = load_filters(config)
        return {role: make_judge(config, filters, self._services, role) for role in Role}

    async def stop(self) -> None:
        await self._watching.close()
        for listener in self._listeners:
            await listener.close()
        if self._looking is not None:
            self._looking.cancel()
        await self._delivering.stop()
        await self._authenticator.close()
        self._blocking.close()
        self._services.close()
        self._directory.close()


class AccessRole:
    """Serves mail over IMAP and POP3."""

    def __init__(self, config: Config, bound: Sequence[BoundListener]) -> None:
        self._config = config
        self._bound = bound
        self._services = PluginServices(config)
        self._chain = self._make_chain(config)
        self._events = Events(lambda: self._chain)
        self._authenticator = RemoteAuthenticator(config.auth_socket)
        self._hints = Hints(config.data / "hints")
        self._watchers = Watchers()
        self._store = EmbeddedStore(config.data / "accounts", Disk(), self._hints)
        self._listeners: list[StreamListener] = []
        self._revoking = Revoking(self._authenticator, self._listeners)
        self._contexts = _contexts([listener for listener, _ in bound], config)

    def _make_chain(self, config: Config) -> Chain:
        filters = load_filters(config)
        return chain_of(filters.policies["inbound"], filters.host, self._services.of)

    async def start(self) -> None:
        config = self._config
        self._hints.listen(self._watchers.changed)
        self._watchers.start()
        imap_desk = ImapDesk(
            store=self._store,
            authenticator=self._authenticator,
            watch=self._watchers.watch,
            moved=self._events.moved,
            hostname=config.hostname,
            append_octets=config.limits.message_octets,
        )
        leases = Leases(config.data / "pop3", Disk())
        pop3_desk = Pop3Desk(self._store, self._authenticator, leases, config.hostname)
        admissions = _admissions(config, ("imap", "pop3"))
        for listener, sock in self._bound:
            context, admission = self._contexts.get(listener.name), admissions[listener.protocol]
            implicit = listener.tls == "implicit"
            started: StreamListener
            if listener.protocol == "imap":
                imap = ImapSettings(listener=listener.name, implicit_tls=implicit, proxies=listener.proxy_from)
                started = ImapListener(imap, imap_desk, context, admission)
            else:
                pop3 = Pop3Settings(listener=listener.name, implicit_tls=implicit, proxies=listener.proxy_from)
                started = Pop3Listener(pop3, pop3_desk, context, admission)
            await started.serve(sock)
            self._listeners.append(started)
        self._revoking.start()

    def reload(self, config: Config) -> None:
        """Moves under way are told by the old plugins. Raises ConfigError, and then nothing has changed."""
        chain = self._make_chain(config)
        renew_certificates(self._contexts.values(), config.tls.certificate, config.tls.key)
        self._chain = chain

    async def stop(self) -> None:
        await self._revoking.stop()
        for listener in self._listeners:
            await listener.close()
        await self._events.stop()
        self._watchers.stop()
        await self._authenticator.close()
        self._services.close()
        self._store.close()
        self._hints.close()


class AuthRole:
    """Checks logins for all protocols; the only role that reads passwords, app passwords and what proves a second factor."""

    def __init__(self, config: Config) -> None:
        self._store = CredentialStore(config.directory_file)
        self._passwords = PasswordChecker()
        kept = KeptCredentials(self._store, self._passwords, SystemClock())
        self._services = PluginServices(config, kept)
        self._logins = self._make_logins(config)
        self._events = Events(lambda: self._logins.chain)
        self._remembered = SqliteKeyValue(config.data / "logins.sqlite")
        acquaintances = Acquaintances(self._remembered)
        chain = LoginChain(lambda: self._logins, self._events.login_ended, kept, acquaintances=acquaintances)
        self._server = AuthServer(config.auth_socket, ChainAuthenticator(chain, kept), chain)

    def _make_logins(self, config: Config) -> Logins:
        filters = load_filters(config)
        return Logins(filters.policies["access"], filters.host, self._services.of)

    async def start(self) -> None:
        await self._server.start()

    def reload(self, config: Config) -> None:
        """Attempts under way keep the old plugins. Raises ConfigError, and then nothing has changed."""
        self._logins = self._make_logins(config)

    async def stop(self) -> None:
        await self._server.close()
        await self._events.stop()
        self._services.close()
        self._passwords.close()
        self._remembered.close()
        self._store.close()


class QueueRole:
    """Relays what is for others, finishes what a dead or failed worker left in the spool, and answers `mailward queue`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._services = PluginServices(config)
        self._rules = self._make_rules(config)
        self._directory = Directory(config.directory_file)
        self._delivering = delivering = _Delivering(config, f"queue{os.getpid()}", self._directory)
        spool, decisions, clock = delivering.spool, delivering.decisions, SystemClock()
        self._outbound = OutboundManager(
            spool,
            make_relay(config),
            lambda: self._rules,
            delivering.reports,
            decisions,
            clock,
            limits=config.outbound.limits,
        )
        self._passes = Passes(delivering.agenda, (delivering.manager, self._outbound))
        control = QueueControl(spool, delivering.agenda, decisions, delivering.mda, clock)
        self._calls = QueueServer(config.queue_socket, control)

    def _make_rules(self, config: Config) -> Relays:
        filters = load_filters(config)
        return Relays(filters.policies["outbound"], filters.host, self._services.of)

    async def start(self) -> None:
        self._passes.start()
        await self._calls.start()

    def reload(self, config: Config) -> None:
        """Attempts under way keep the old rules. Raises ConfigError, and then nothing has changed."""
        self._rules = self._make_rules(config)

    async def stop(self) -> None:
        await self._calls.close()
        await self._passes.stop()
        await self._outbound.stop()
        await self._delivering.stop()
        self._services.close()
        self._directory.close()
