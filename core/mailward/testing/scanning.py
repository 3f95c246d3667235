"""What do these plugins find in this message? The real chain and the real policy, with fake services around them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mailward.api import Edit, EnvelopeView, Facts, Finding, MessageView, Resolver
from mailward.model.decision import DecisionRecord
from mailward.model.evidence import HookCall
from mailward.model.ids import new_queue_id, new_session_id
from mailward.model.session import Role, Session
from mailward.model.verdict import Verdict, strongest
from mailward.pipeline.enabling import chain_of
from mailward.pipeline.events import Events
from mailward.pipeline.judge import Judge
from mailward.pipeline.plugins import PluginHost
from mailward.policy import RecipientFacts
from mailward.services.reverse_dns import reverse_name
from mailward.testing.making import HOSTNAME, as_octets, make_envelope, make_moved
from mailward.testing.policies import Named, made_policy
from mailward.testing.recorded import Recorded
from mailward.testing.world import FakeServices


@dataclass(frozen=True)
class ScanResult:
    """What came of one message.

    verdict: the strongest of all recipients', as a word. findings: by symbol, the last one of each. observed: every finding in
    order with its plugin's name, those without a symbol, too. edits: those that hold for every recipient.
    """

    verdict: str
    reply: str
    findings: Mapping[str, Finding]
    observed: tuple[tuple[str, Finding], ...]
    calls: tuple[HookCall, ...]
    edits: tuple[Edit, ...]
    record: DecisionRecord
    _facts: Mapping[str, Facts]

    def facts(self, plugin: str) -> Facts:
        """The facts of that plugin; the defaults when none of its findings set them. Raises KeyError when it was not enabled."""
        return self._facts[plugin]

    def call(self, plugin: str, hook: str = "inspect_message") -> HookCall:
        """The call of one hook. Raises LookupError when there was none."""
        for call in self.calls:
            if (call.plugin, call.hook) == (plugin, hook):
                return call
        raise LookupError(f"{hook} of {plugin} was not called")


class Scan:
    """Call it with a message. services: what is around the plugins; what they keep stays between the calls of one test."""

    def __init__(self, services: FakeServices | None = None) -> None:
        self.services = services or FakeServices()

    def __call__(
        self,
        mail: bytes | str,
        plugins: Sequence[Named] = (),
        *,
        ip: str = "192.0.2.1",
        helo: str | None = "mail.example.net",
        mail_from: str = "sender@example.net",
        rcpt: str | Sequence[str] = "recipient@example.org",
        settings: Mapping[str, Mapping[str, object]] | None = None,
        policy: Mapping[str, object] | None = None,
    ) -> ScanResult:
        """Judge a message as at the end of DATA.

        mail: a str, or octets without any CRLF, get CRLF line ends; other octets are taken as they are. mail_from: "" is the null
        reverse-path. settings: {plugin: keys as in the policy, mode or heed included}.
        policy: further keys of a policy file, such as {"limits": {"junk": 5}}. Raises PluginError and PolicyError.
        """
        judge, host = self._judge(plugins, settings or {}, policy or {})
        envelope = make_envelope(mail_from, rcpt)
        at = self.services.clock.now()
        session = Session(new_session_id(), Role.MX, "test", ip, at, helo=helo, extended=helo is not None, hostname=HOSTNAME)
        try:
            return asyncio.run(_scan(judge, host, self.services.zone, session, envelope, MessageView(as_octets(mail))))
        finally:
            judge.close()

    def replay(
        self,
        recorded: Recorded,
        plugins: Sequence[Named] = (),
        *,
        settings: Mapping[str, Mapping[str, object]] | None = None,
        policy: Mapping[str, object] | None = None,
    ) -> ScanResult:
        """Judge a message that `mailward record` saved, at that moment and with the DNS answers of then. Else as a call."""
        self.services.zone, before = recorded.zone, self.services.zone
        self.services.clock.set(recorded.at)
        judge, host = self._judge(plugins, settings or {}, policy or {})
        try:
            return asyncio.run(_scan(judge, host, self.services.zone, recorded.session, recorded.envelope, recorded.message))
        finally:
            judge.close()
            self.services.zone = before

    def moved(
        self,
        mail: bytes | str,
        plugins: Sequence[Named],
        *,
        source: str = "INBOX",
        target: str = "Junk",
        account: str = "recipient@example.org",
        settings: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        """Tell the plugins that a person moved this message. Raises AssertionError when one of them failed."""
        policy, host = made_policy("inbound", plugins, settings or {}, {})
        moved = make_moved(mail, source=source, target=target, account=account)

        async def tell() -> int:
            chain = chain_of(policy, host, self.services.of)
            events = Events(lambda: chain)
            events.moved(moved)
            await events.drain()
            return events.failed

        if asyncio.run(tell()):
            raise AssertionError("on_moved failed; the log says why")

    def _judge(
        self,
        plugins: Sequence[Named],
        settings: Mapping[str, Mapping[str, object]],
        policy: Mapping[str, object],
    ) -> tuple[Judge, PluginHost]:
        checked, host = made_policy("inbound", plugins, settings, policy)
        judge = Judge(checked, host, self.services.of, hostname=HOSTNAME, clock=self.services.clock, key=b"a test")
        return judge, host


async def _scan(
    judge: Judge, host: PluginHost, resolver: Resolver, session: Session, envelope: EnvelopeView, message: MessageView
) -> ScanResult:
    if judge.needs_rdns and session.rdns is None:
        session = replace(session, rdns=await reverse_name(resolver, session.peer_ip))
    recipients = [RecipientFacts.of(path) for path in envelope.forward_paths]
    trial, judgement = await judge.rehearse(new_queue_id(), session, envelope, recipients, message)
    record = await judgement.whole_record()
    observed = tuple((called.call.plugin, finding) for called in trial.calls for finding in called.findings)
    facts = {name: host.load(name).declaration.facts() for name in judge.policy.plugins}
    facts.update({plugin: finding.facts for plugin, finding in observed if finding.facts is not None})
    return ScanResult(
        verdict=strongest(*(Verdict(decision.verdict) for decision in judgement.recipients)).value,
        reply=str(judgement.reply),
        findings={finding.symbol: finding for _, finding in observed if finding.symbol is not None},
        observed=observed,
        calls=record.calls,
        edits=judgement.edits,
        record=record,
        _facts=facts,
    )
