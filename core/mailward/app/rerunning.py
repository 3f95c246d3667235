"""The plugins of a policy, run again on messages of which a copy is still here, as if each had just come.

Session, envelope and DNS answers are those of the receipt, the clock stands at its moment, and nothing that a plugin writes
stays. What a plugin has learnt, and what scanners and lists say, is of today.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

from mailward.api.services import Resolver
from mailward.app.config import Config
from mailward.app.filters import Filters
from mailward.app.judging import PluginServices, make_judge
from mailward.app.recipients import address_of
from mailward.formats.message import MessageView
from mailward.model.address import NULL_REVERSE_PATH, ForwardPath, ReversePath
from mailward.model.decision import DecisionRecord, RecipientDecision
from mailward.model.envelope import Envelope, MailParameters, RcptParameters
from mailward.model.evidence import FactValue, HookCall
from mailward.model.identity import Identity
from mailward.model.ids import AccountId, new_session_id
from mailward.model.receipt import Receipt
from mailward.model.session import ReverseName, ReverseResult, Role, Session, TlsFacts
from mailward.pipeline.meeting import Meeting
from mailward.pipeline.transaction import Trial
from mailward.policy import RecipientFacts
from mailward.policy.replay import Replayed
from mailward.services.recorded import NoHttp, RecordedClock, RecordedResolver
from mailward.services.reverse_dns import reverse_name


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it came, with what is known of its receipt."""

    record: DecisionRecord
    receipt: Receipt
    octets: bytes


@dataclass(frozen=True, slots=True)
class Rerun:
    """What came of one message. calls: of the plugins now. anew: questions to DNS that nobody had asked at receipt.

    otherwise: the plugins that found something else than they had then.
    """

    replayed: Replayed
    calls: tuple[HookCall, ...]
    anew: tuple[str, ...]
    otherwise: tuple[str, ...]


class Rerunner:
    """Runs the plugins on one message at a time. On one event loop.

    ask: who is asked what nobody asked DNS at receipt; None for nobody. key: of canaries.
    Raises PluginError when the plugins cannot work together.
    """

    def __init__(
        self,
        config: Config,
        filters: Filters,
        role: Role,
        recipient: Callable[[str], RecipientFacts],
        key: bytes | None,
        ask: Resolver | None = None,
    ) -> None:
        self._hostname = config.hostname
        self._role = role
        self._recipient = recipient
        self._resolver, self._clock = RecordedResolver(ask), RecordedClock()
        self._services = PluginServices(config, keeps=False, resolver=self._resolver, clock=self._clock, http=NoHttp())
        self._judge = make_judge(config, filters, self._services, role, key)

    def close(self) -> None:
        self._judge.close()
        self._services.close()

    async def run(self, arrived: Arrived) -> Rerun:
        """What its recipients would get, and what the plugins find."""
        record = arrived.record
        moment = datetime.fromisoformat(record.received_at).astimezone(UTC)
        self._resolver.use(arrived.receipt.heard)
        self._clock.set(moment)
        self._services.forget()
        session = await self._session(record, arrived.receipt, moment)
        trial = self._judge.begin(session, self._meeting(session, arrived.receipt.former))
        decisions, calls, facts = await self._judged(trial, session, record, MessageView(arrived.octets))
        calls = tuple(calls)
        failed = _newly_failed(calls, record.calls)
        replayed = Replayed((), f"plugin {failed.plugin} fails now: {failed.error}") if failed else Replayed(tuple(decisions))
        otherwise = tuple(sorted(_otherwise(calls, facts, record)))
        return Rerun(replayed, calls, tuple(sorted(self._resolver.anew)), otherwise)

    def _meeting(self, session: Session, former: str | None) -> Meeting:
        """The client gives its names again."""

        async def soon() -> Session:
            return session

        meeting = self._judge.meet()
        meeting.connected(soon)
        for name in (former, session.helo):
            if name is not None:
                meeting.greeted(soon, name)
        return meeting

    async def _session(self, record: DecisionRecord, receipt: Receipt, moment: datetime) -> Session:
        known, protocol = record.facts, receipt.protocol
        helo, version, user = (_text(known, name) for name in ("helo.name", "tls.version", "identity.user"))
        result: ReverseResult = next((one for one in get_args(ReverseResult) if one == known.get("peer.rdns_result")), "none")
        rdns = ReverseName(result, _text(known, "peer.rdns"))
        if rdns.result == "fail":  # a name that does not lead back is in no record
            rdns = await reverse_name(self._resolver, _text(known, "peer.ip"))
        groups = known.get("identity.groups", ())
        return Session(
            new_session_id(),
            self._role,
            _text(known, "listener.name"),
            _text(known, "peer.ip"),
            moment,
            helo=helo or None,
            extended=protocol != "SMTP",
            tls=TlsFacts(version, "") if version else None,
            identity=Identity(
                AccountId(""),
                user,
                groups if isinstance(groups, tuple) else (),
                second_factor=known.get("identity.second_factor") is True,
            )
            if user
            else None,
            lmtp=protocol.startswith("LMTP"),
            rdns=rdns,
            hostname=self._hostname,
        )

    async def _judged(
        self, trial: Trial, session: Session, record: DecisionRecord, message: MessageView
    ) -> tuple[list[RecipientDecision], tuple[HookCall, ...], dict[str, FactValue]]:
        """As reception goes on: who is refused at MAIL or RCPT has no part in the message."""
        reverse_path = ReversePath(address_of(record.reverse_path)) if record.reverse_path else NULL_REVERSE_PATH
        parameters = MailParameters(prdr=record.takes_each and not session.lmtp)
        envelope = Envelope(reverse_path, parameters=parameters)
        people = [self._recipient(one.recipient) for one in record.recipients]
        paths = [ForwardPath(address_of(one.recipient)) for one in record.recipients]
        if (reply := await trial.mail(session, envelope)) is not None:
            refused = [trial.refusal(record.id, session, envelope, reply, who) for who in people]
            return [one.recipients[0] for one in refused], refused[0].calls, dict(refused[0].facts)
        decided: dict[int, RecipientDecision] = {}
        calls: tuple[HookCall, ...] = ()
        facts: dict[str, FactValue] = {}
        for index, (path, who) in enumerate(zip(paths, people, strict=True)):
            if (reply := await trial.rcpt(session, envelope, path, who)) is None:
                envelope = envelope.with_recipient(path, RcptParameters())
                continue
            refusal = trial.refusal(record.id, session, envelope, reply, who)
            decided[index], calls, facts = refusal.recipients[0], refusal.calls, dict(refusal.facts)
        if taken := [index for index in range(len(people)) if index not in decided]:
            judgement = await trial.message(record.id, session, envelope, [people[index] for index in taken], message)
            if judgement.shadowing is not None:
                judgement.shadowing.leave()
            decided |= dict(zip(taken, judgement.recipients, strict=True))
            calls, facts = judgement.record.calls, dict(judgement.record.facts)
        return [decided[index] for index in range(len(people))], calls, facts


def _text(facts: Mapping[str, FactValue], name: str) -> str:
    value = facts.get(name, "")
    return value if isinstance(value, str) else ""


def _newly_failed(now: Iterable[HookCall], then: Iterable[HookCall]) -> HookCall | None:
    """A call that fails and did not: what it would have found nobody knows."""
    failed = {(call.plugin, call.hook) for call in then if call.error is not None}
    return next((call for call in now if call.error is not None and (call.plugin, call.hook) not in failed), None)


def _otherwise(calls: tuple[HookCall, ...], facts: dict[str, FactValue], record: DecisionRecord) -> set[str]:
    """Plugins that looked then and now, and whose findings or facts differ."""
    both = {call.plugin for call in calls} & {call.plugin for call in record.calls}

    def found(of: Iterable[HookCall], known: Mapping[str, FactValue], plugin: str) -> object:
        findings = [
            (call.hook, one.symbol, round(one.strength, 6), one.asks)
            for call in of
            if call.plugin == plugin
            for one in call.findings
        ]
        own = {name: value for name, value in known.items() if name.startswith(f"{plugin}.") and name != f"{plugin}.status"}
        return sorted(findings, key=repr), own

    return {name for name in both if found(calls, facts, name) != found(record.calls, record.facts, name)}
