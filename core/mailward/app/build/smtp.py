"""The wiring of the processes that take mail."""

import os
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import structlog

from mailward.app.build.common import BoundListener, Delivering, admissions_of, make_srs, secret_keys, tls_contexts
from mailward.app.config import SMTP_PROTOCOLS, Config
from mailward.app.filters import Filters
from mailward.app.judging import PluginServices, make_judge
from mailward.app.relaying import make_questions
from mailward.directory import Directory
from mailward.disk import Disk
from mailward.intake.allowances import Allowances
from mailward.intake.desk import Desk as ReceptionDesk
from mailward.intake.receipts import Receipts
from mailward.intake.reception import Reception
from mailward.intake.refusing import record_budget
from mailward.intake.relaying import RelayGuard
from mailward.intake.room import MailboxRoom
from mailward.intake.submission import SubmissionRights
from mailward.intake.verifying import RecipientVerifier
from mailward.model.errors import ConfigError
from mailward.model.session import Role, Session
from mailward.net.admission import Admission, AdmissionLimits, stress_watch
from mailward.net.authd import RemoteAuthenticator
from mailward.net.smtp_connection import SmtpSettings
from mailward.net.smtpd import SmtpListener
from mailward.net.tls import renew_certificates
from mailward.net.tracing import Traces, trace_server
from mailward.pipeline.folders import Folders
from mailward.pipeline.judge import Judge
from mailward.pipeline.shadowing import ShadowRoom
from mailward.policy.canary import canary_key
from mailward.protocol.smtp.states import Limits
from mailward.services.blocking import BlockingPool
from mailward.services.clock import SystemClock
from mailward.services.hourly import Hourly, HourlyLimits
from mailward.services.kept import kept_for
from mailward.services.known import KnownSources
from mailward.services.reverse_dns import reverse_name
from mailward.services.shared import Seats

log = structlog.get_logger("mailward.worker")

_LOOK_AT_DISK_S = 1.0
"""A disk that fills is noticed so late; `limits.free_disk_octets` has room for that."""


class SmtpShared:
    """What the processes that take mail have in common, made before they are forked: what they count, and the keys of their
    TLS tickets, so that a client is known again by whichever it meets. accounts: what each has sent, by whichever process."""

    def __init__(self, config: Config, known: KnownSources, accounts: Hourly) -> None:
        self.seats = Seats(config.smtp_processes)
        self.admissions = admissions_of(config, ["smtp"], None, self.seats)
        self.admissions |= admissions_of(config, ["submission"], known, self.seats)
        self.admissions["lmtp"] = _admission_of_servers(config, self.seats)
        self.allowances = _allowances(config, accounts)
        self.recorded = record_budget()
        self.contexts = tls_contexts([one for one in config.listeners if one.protocol in SMTP_PROTOCOLS], config)
        self.srs = make_srs(config)
        self.canary_key = canary_key(secret_keys(config)[0])


def _admission_of_servers(config: Config, seats: Seats) -> Admission:
    """Where the clients are a few mail servers, with many connections each."""
    total = config.limits.connections
    return Admission(AdmissionLimits(total=total, per_address=total, per_network=total, per_minute=0), seats, protocol="lmtp")


def _allowances(config: Config, accounts: Hourly) -> Allowances:
    limits = config.limits
    strangers = Hourly(HourlyLimits(limits.messages_per_hour, limits.recipients_per_hour, limits.octets_per_hour))
    return Allowances(strangers, accounts, limits.exempt)


def _verifier(config: Config) -> RecipientVerifier | None:
    if config.verify_recipients == "off":
        return None
    return RecipientVerifier(make_questions(config).ask, is_strict=config.verify_recipients == "strict")


def _renew_if_possible(contexts: Iterable[ssl.SSLContext], config: Config) -> None:
    """A process that takes a dead one's place may come later than a new certificate."""
    try:
        renew_certificates(contexts, config.tls.certificate, config.tls.key, if_expired=True)
    except ConfigError as error:
        log.error("the certificate of the start stays in use", problem=str(error))


class SmtpRole:
    """Takes mail from strangers and from users who log in, judges it, and makes the first attempt at delivery.

    One of several processes that do so. seat: which of them.
    """

    def __init__(self, config: Config, filters: Filters, bound: Sequence[BoundListener], shared: SmtpShared, seat: int) -> None:
        shared.seats.take(seat)
        _renew_if_possible(shared.contexts.values(), config)
        self._config = config
        self._shared = shared
        self._bound = bound
        self._services = PluginServices(config)
        self._shadows = ShadowRoom()
        self._judges = self._make_judges(filters)
        self._directory = Directory(config.directory_file)
        self._authenticator = RemoteAuthenticator(config.auth_socket)
        self._blocking = BlockingPool(2)  # the core's own, so that no plugin's stuck thread can hold up a reply
        self._delivering = Delivering(config, f"smtp{os.getpid()}", self._directory, lambda: Folders(self._judges[Role.MX].chain))
        self._receipts = Receipts(self._delivering.decisions, self._blocking)
        self._listeners: list[SmtpListener] = []
        self._traces = Traces()
        self._watching = trace_server(config.smtp_sockets[seat], self._traces)
        self._looking = stress_watch(self._shared.admissions.values())

    async def start(self) -> None:
        config, delivering = self._config, self._delivering
        disk = Disk()
        desk = ReceptionDesk(
            hostname=config.hostname,
            judge=lambda role: self._judges[role],
            guard=RelayGuard(self._directory, self._shared.srs, config.relay_domains, config.discarded_domains),
            rights=SubmissionRights(self._directory),
            authenticator=self._authenticator,
            spool=delivering.spool,
            decisions=delivering.decisions,
            receipts=self._receipts,
            clock=SystemClock(),
            run_blocking=self._blocking,
            on_committed=delivering.manager.offer,
            free_octets=kept_for(_LOOK_AT_DISK_S, lambda: disk.free_octets(config.data)),
            least_free_octets=config.limits.free_disk_octets,
            allowances=self._shared.allowances,
            recorded=self._shared.recorded,
            null_recipients=config.limits.null_sender_recipients,
            account_priority=config.limits.account_priority,
            verifier=_verifier(config),
            mailbox_room=MailboxRoom(delivering.store.has_room, self._blocking, waits=config.full_mailbox == "wait"),
            reverse_name=partial(reverse_name, self._services.resolver),
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
                greet_delay_s=listener.greet_delay_s,
            )
            context = self._shared.contexts.get(listener.name)
            started = SmtpListener(settings, reception, context, admissions[listener.protocol], self._traces, self._texts)
            await started.serve(sock)
            self._listeners.append(started)
        self._looking.start()
        self._receipts.start()
        await self._watching.start()

    def _texts(self, role: Role) -> Mapping[str, str]:
        return self._judges[role].replies

    def reload(self, config: Config, filters: Filters) -> None:
        """Transactions under way keep the old judge. Raises ConfigError, and then nothing has changed."""
        judges = self._make_judges(filters)
        renew_certificates(self._shared.contexts.values(), config.tls.certificate, config.tls.key)
        self._judges = judges

    def use(self, filters: Filters) -> None:
        """The same, of the filters alone."""
        self._judges = self._make_judges(filters)

    def _make_judges(self, filters: Filters) -> dict[Role, Judge]:
        key, room = self._shared.canary_key, self._shadows
        return {role: make_judge(self._config, filters, self._services, role, key, room) for role in Role}

    async def stop(self) -> None:
        await self._watching.close()
        for listener in self._listeners:
            await listener.close()
        await self._looking.stop()
        await self._shadows.stop()
        await self._receipts.stop()
        await self._delivering.stop()
        await self._authenticator.close()
        self._blocking.close()
        self._services.close()
        self._directory.close()
