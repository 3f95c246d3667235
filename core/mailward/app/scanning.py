"""The whole chain on one message without a server: what `mailward scan` and live policy tests use."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mailward.api.services import Resolver
from mailward.app.config import Config
from mailward.app.filters import Filters, load_filters
from mailward.app.judging import PluginServices, kept_canary_key, make_judge
from mailward.app.recipients import recipients_of
from mailward.formats.message import MessageView
from mailward.model.address import Address, ForwardPath, ReversePath
from mailward.model.decision import DecisionRecord, RecipientDecision
from mailward.model.envelope import Envelope
from mailward.model.identity import Identity
from mailward.model.ids import AccountId, QueueId, new_session_id
from mailward.model.session import Role, Session, TlsFacts
from mailward.model.verdict import Source, Verdict, strongest
from mailward.policy import Ruling
from mailward.policy.scope import Origin
from mailward.policy.tests import PolicyTest, TestMessage, TestResult, differences_of, live_message
from mailward.services.reverse_dns import reverse_name

_NO_ID = QueueId("")
"""Nothing is kept of a scan, so there is nothing to ask for by an id later."""
_TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")

NOBODY = ForwardPath(Address("someone", "recipient.invalid"))
"""The recipient when none is given."""


@dataclass(frozen=True, slots=True)
class ScanInput:
    """What is known of a message. helo: None when it is not known. tls: None when it came in clear.

    identity: who has submitted it. listener: the name of the one it came by. lmtp: that speaks LMTP.
    """

    octets: bytes
    ip: str
    helo: str | None
    reverse_path: ReversePath
    forward_paths: tuple[ForwardPath, ...]
    tls: TlsFacts | None = None
    identity: Identity | None = None
    listener: str = "scan"
    lmtp: bool = False


@dataclass(frozen=True, slots=True)
class Scanned:
    """record: as `explain` shows it. strongest: of all recipients' verdicts."""

    record: DecisionRecord
    strongest: Verdict


async def scan(
    config: Config, given: ScanInput, filters: Filters | None = None, role: Role = Role.MX, resolver: Resolver | None = None
) -> Scanned:
    """Judge a message as listeners of this role would. resolver: instead of the server's own.

    Raises ConfigError when policy or plugins cannot be used.
    """
    services = PluginServices(config, keeps=False, resolver=resolver)
    try:
        judge = make_judge(config, filters or load_filters(config), services, role, kept_canary_key(config))
        session = Session(
            new_session_id(),
            role,
            given.listener,
            given.ip,
            datetime.now(UTC),
            helo=given.helo,
            extended=given.helo is not None,
            tls=given.tls,
            identity=given.identity,
            lmtp=given.lmtp,
            rdns=await reverse_name(services.resolver, given.ip) if judge.needs_rdns else None,
            hostname=config.hostname,
        )
        envelope = Envelope(given.reverse_path, given.forward_paths or (NOBODY,))
        recipients = recipients_of(config, envelope.forward_paths)
        if role is Role.MX:  # whoever is nobody's here would not have been taken, so he stands for somebody who is
            relayed = config.relay_domains
            recipients = [one if one.domain in relayed else replace(one, is_local=True) for one in recipients]
        _, judgement = await judge.rehearse(_NO_ID, session, envelope, recipients, MessageView(given.octets))
        return Scanned(await judgement.whole_record(), strongest(*(_wanted(decision) for decision in judgement.recipients)))
    finally:
        services.close()


def _wanted(decision: RecipientDecision) -> Verdict:
    """The recipient's own verdict, before one reply had to serve several."""
    return Verdict(decision.wanted or decision.verdict)


async def live_tests(config: Config, filters: Filters) -> list[TestResult]:
    """Run the `live: true` tests of all policies: their messages through the plugins."""
    found = []
    for role in Role:
        for test in filters.policies[role.value].tests:
            if test.live and test.message is not None:
                found.append(await _live_test(config, filters, role, test, test.message))
    return found


async def _live_test(config: Config, filters: Filters, role: Role, test: PolicyTest, message: TestMessage) -> TestResult:
    """The message comes from this host, over TLS, so that only what is tested decides; from elsewhere where the test says so."""
    envelope, octets = live_message(message)
    origin = Origin.of(test.given)
    given = ScanInput(
        octets,
        origin.ip or "127.0.0.1",
        None,
        envelope.reverse_path,
        envelope.forward_paths,
        _TLS,
        Identity(AccountId(""), origin.user, origin.groups) if origin.user or origin.groups else None,
        origin.listener or "scan",
    )
    scanned = await scan(config, given, filters, role)
    rulings = tuple(
        Ruling(d.recipient, _wanted(d), d.score, Source(d.source_kind, d.source_name, d.source_where))
        for d in scanned.record.recipients
    )
    return TestResult(test, rulings, tuple(text for ruling in rulings for text in differences_of(test, ruling)))
