"""How is one mail transaction judged? Stage by stage: call the hooks, ask the policy, write down why.

Whatever goes wrong in here is answered 451 4.3.0 and recorded; no message is lost or let through by an error of ours.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import structlog

from mailward.formats.message import MessageView
from mailward.model.address import ForwardPath
from mailward.model.decision import DecisionRecord, Looked, OfCanary, RecipientDecision, utc_text
from mailward.model.edits import Edit
from mailward.model.envelope import Envelope
from mailward.model.evidence import AuthResult, EvidenceSet, FactValue
from mailward.model.ids import QueueId
from mailward.model.replies import LOCAL_ERROR
from mailward.model.reply import Reply
from mailward.model.session import Session
from mailward.model.verdict import Source, Verdict
from mailward.pipeline.at_rcpt import AtRcpt
from mailward.pipeline.called import Called, Calls, about
from mailward.pipeline.canaries import Canaries, edits_of
from mailward.pipeline.facts import CONTENT, envelope_facts, in_words, message_facts, session_facts
from mailward.pipeline.gathering import auth_results, with_own
from mailward.pipeline.meeting import MEETING_HOOKS, Meeting, meeting_of
from mailward.pipeline.shadowing import LEFT_OUT, NOT_HEARD_OF, Shadowing, Step
from mailward.pipeline.sides import Bench, Sides
from mailward.pipeline.stages import COMMAND_STAGE_S
from mailward.policy import RecipientFacts, Ruling, combine
from mailward.policy.judging import cases_of, judge_all
from mailward.policy.ruling import separate, with_id
from mailward.policy.scope import NOWHERE, Origin
from mailward.policy.shadow import NOTHING, Compared, compare, compare_refused
from mailward.policy.stages import Stage

LARGE_OCTETS = 16 * 1024
"""From here on a message is parsed in a thread (design section 7)."""

_BEFORE_MESSAGE = ("inspect_connect", "inspect_helo", "inspect_mail", "inspect_rcpt")
MOST_SHADOWED_RCPT = 20
"""So many forward-paths a plugin in shadow is shown; what it would have found of more is not known."""
NOT_SHOWN = f"it was shown {MOST_SHADOWED_RCPT} recipients, and there were more"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of one message. recipients, recipient_edits: in the order given. edits: hold for every recipient.

    replies: one for each recipient, in the order given, where the peer takes them (LMTP, PRDR); else empty.
    shadowing: what is to look at the message after the reply, to be started or left; None when nothing is.
    """

    reply: Reply
    recipients: tuple[RecipientDecision, ...]
    edits: tuple[Edit, ...]
    recipient_edits: tuple[tuple[Edit, ...], ...]
    auth_results: tuple[AuthResult, ...]
    record: DecisionRecord
    replies: tuple[Reply, ...] = ()
    shadowing: Shadowing | None = None

    async def whole_record(self) -> DecisionRecord:
        """The record with all that the shadowed plugins say, for whoever has no reply to give and can wait for them."""
        if self.shadowing is None:
            return self.record
        try:
            return self.record.looked_at(await self.shadowing.look())
        finally:
            self.shadowing.leave()


class Trial:
    """One mail transaction. Its calls come in the order mail, rcpt (any number), message; none of them raises.

    A reply of None means: go on. `refusal` tells afterwards why `mail` or `rcpt` said no.
    """

    def __init__(self, sides: Sides, meeting: Meeting | None = None) -> None:
        self._sides = sides
        self._canaries = Canaries(sides, NOWHERE)
        self._meeting = meeting
        self._calls: tuple[Called[object], ...] = ()
        self._shadow: tuple[Step, ...] = ()
        self._shadowing: Shadowing | None = None
        self._refused: Ruling | None = None
        self._at_rcpt = AtRcpt()
        self._heard: tuple[Called[object], ...] = ()  # what the last reply is based on

    @property
    def calls(self) -> tuple[Called[object], ...]:
        """The calls made so far whose answers count, with what the plugins themselves returned."""
        return self._calls

    async def mail(self, session: Session, envelope: Envelope) -> Reply | None:
        """The reply to MAIL, when it is already certain that nothing of this reverse-path is taken now."""
        arguments = {"session": session, "envelope": envelope}
        self._refused = None
        try:
            self._canaries = Canaries(self._sides, Origin.of(session_facts(session) | envelope_facts(envelope)))
            bench = self._bench
            deadline = time.monotonic() + COMMAND_STAGE_S
            met_before = self._meeting if bench.chain.asks_as(self._sides.base.chain, MEETING_HOOKS) else None
            met = await (met_before or meeting_of(bench.chain, session)).met()
            self._calls = met.connect
            self._shadow_later("inspect_connect", {"session": session})
            self._calls += met.helo
            self._shadow_later("inspect_helo", {"session": session, "former": met.former})
            self._calls += await bench.chain.inspect("inspect_mail", arguments, self._calls, deadline)
            self._shadow_later("inspect_mail", arguments)
            self._heard = self._calls
            return self._early(session, envelope, None, "mail")
        except Exception:  # noqa: BLE001  whatever it is, the answer is 451 and the log has it
            _log.exception("judging failed", stage="mail", session=session.id)
            return LOCAL_ERROR

    async def rcpt(
        self, session: Session, envelope: Envelope, forward_path: ForwardPath, recipient: RecipientFacts
    ) -> Reply | None:
        """The reply to RCPT, when it is already certain that this recipient gets nothing now."""
        self._refused = None
        try:
            await self._look_at(session, envelope, forward_path, recipient)
            found = (*self._at_rcpt.of([forward_path]), *self._canaries.calls([forward_path]))
            self._heard = (*self._calls, *about(None, found))
            return self._early(session, envelope, recipient, "rcpt")
        except Exception:  # noqa: BLE001  whatever it is, the answer is 451 and the log has it
            _log.exception("judging failed", stage="rcpt", session=session.id)
            return LOCAL_ERROR

    async def _look_at(self, session: Session, envelope: Envelope, forward_path: ForwardPath, recipient: RecipientFacts) -> None:
        deadline = time.monotonic() + COMMAND_STAGE_S
        arguments = {"session": session, "envelope": envelope, "forward_path": forward_path}
        if self._bench.chain.enforced("inspect_rcpt") and forward_path not in self._at_rcpt:
            self._at_rcpt.add(forward_path, await self._bench.chain.inspect("inspect_rcpt", arguments, self._calls, deadline))
        bench = self._canaries.bench(recipient)
        await self._canaries.follow([bench], self._shadow, (), deadline)
        earlier = (*self._calls, *about(None, self._at_rcpt.of([forward_path])))
        await self._canaries.look_at(bench, forward_path, Step("inspect_rcpt", arguments, earlier), deadline)

    def refusal(
        self, queue_id: QueueId, session: Session, envelope: Envelope, reply: Reply, recipient: RecipientFacts | None = None
    ) -> DecisionRecord:
        """The record of a refusal before any message came: `reply` is what `mail` or `rcpt` gave."""
        ruling = self._refused or Ruling("", Verdict.TEMPFAIL, 0.0, Source("core", "an unforeseen error"))
        if recipient is not None:
            ruling = replace(ruling, recipient=recipient.address)
        bench, decision = self._judging(recipient), ruling.decision()
        evidence = self._canaries.looked.evidence(self._heard)
        facts = session_facts(session) | envelope_facts(envelope)
        # What the shadowed ones make of it comes too late for a refusal, which nobody waits for.
        unseen = {one.name: "refused before it had looked" for hook in _BEFORE_MESSAGE for one in bench.chain.shadowed(hook)}
        unseen |= self._canaries.partly([bench])
        compared = compare_refused(bench.policy, facts, evidence, recipient, decision, unseen)
        told = self._canaries.told([bench], [decision.recipient])
        return self._record(queue_id, session, envelope, None, {}, evidence, (decision,), reply, told, compared)

    async def message(
        self, queue_id: QueueId, session: Session, envelope: Envelope, recipients: Sequence[RecipientFacts], message: MessageView
    ) -> Judgement:
        """The judgement on a whole message, for at least one recipient."""
        try:
            return await self._message(queue_id, session, envelope, recipients, message)
        except Exception:  # noqa: BLE001  whatever it is, the answer is 451 and the log has it
            _log.exception("judging failed", stage="message", id=queue_id)
            if self._shadowing is not None:
                self._shadowing.leave()
            return self._unforeseen(queue_id, session, envelope, recipients, message)

    async def _message(
        self, queue_id: QueueId, session: Session, envelope: Envelope, recipients: Sequence[RecipientFacts], message: MessageView
    ) -> Judgement:
        bench, paths = self._bench, envelope.forward_paths
        benches = [self._canaries.bench(recipient) for recipient in recipients]
        deadline = time.monotonic() + bench.message_stage_s
        facts = session_facts(session) | envelope_facts(envelope)
        # Also for its effect: the message is indexed once, here, before several hooks ask for the index at the same time.
        facts |= await asyncio.to_thread(message_facts, message) if message.size_octets > LARGE_OCTETS else message_facts(message)
        arguments = {"session": session, "envelope": envelope, "message": message}
        for number, path in enumerate(paths[:MOST_SHADOWED_RCPT]):
            shown = {"session": session, "envelope": envelope.first(number), "forward_path": path}
            self._shadow_later("inspect_rcpt", shown)
        self._calls += self._at_rcpt.of(paths)
        self._calls += await bench.chain.inspect("inspect_message", arguments, self._calls, deadline)
        earlier = self._calls

        def to_edit() -> dict[str, object]:
            return {**arguments, "evidence": bench.chain.evidence(earlier)}

        edited = [called async for called in bench.chain.edit("edit_message", lambda: message, to_edit, deadline)]
        self._calls = (*self._calls, *edited)
        self._shadow_later("inspect_message", arguments)
        await self._canaries.follow(benches, self._shadow, paths, deadline)
        await self._canaries.edit(benches, message, arguments, earlier, paths, deadline)
        overtime = time.monotonic() >= deadline
        calls = (*self._calls, *self._canaries.calls(paths))
        evidence = self._canaries.looked.evidence(calls)
        policies = [bench.policy for bench in benches]
        bench.policy.lists.refresh()
        recipients = with_own(recipients, paths, calls)
        rulings = judge_all(cases_of(policies, facts, evidence), recipients)
        if overtime:
            late = Source("core", f"the message stage took longer than {bench.message_stage_s:g} s")
            rulings = [replace(r, verdict=Verdict.TEMPFAIL, source=late, reply=LOCAL_ERROR) for r in rulings]
        for ruling in rulings:
            for alarm in ruling.alarms:
                _log.error("policy alarm", id=queue_id, rcpt=ruling.recipient, alarm=alarm)
        takes_each = session.lmtp or envelope.parameters.prdr
        outcome = (separate if takes_each else combine)(rulings, queue_id, bench.policy.replies)
        decisions = tuple(replace(d, facts=who.found) for d, who in zip(outcome.decisions, recipients, strict=True))

        def compared(evidence: EvidenceSet, recipients: Sequence[RecipientFacts], unknown: str) -> Compared:
            in_shadow = self._in_shadow(unknown, len(paths)) | self._canaries.partly(benches)
            return compare(policies, facts, evidence, recipients, decisions, in_shadow, each=takes_each)

        unknown = ""
        if steps := self._steps_in_shadow(paths):

            def result(found: Calls) -> Looked:
                whole = self._canaries.looked.evidence((*calls, *found))
                people = with_own(recipients, paths, (*calls, *found))
                now = compared(whole, people, "")
                new = {name: value for name, value in whole.facts.items() if evidence.facts.get(name) != value}
                own = tuple(who.found for who in people) if any(who.found for who in people) else ()
                return Looked(whole.calls[len(calls) :], new, now.shadow, now.recipients, own)

            self._shadowing = self._to_look(steps, message.size_octets, result)
            unknown = LEFT_OUT if self._shadowing is None else NOT_HEARD_OF
        now = compared(evidence, recipients, unknown)
        told = self._canaries.told(benches, [recipient.address for recipient in recipients])
        edits, recipient_edits = _edits(calls, benches, outcome.rulings)
        counting = frozenset.intersection(*(policy.counting for policy in policies))
        return Judgement(
            reply=outcome.reply,
            recipients=decisions,
            edits=edits,
            recipient_edits=recipient_edits,
            auth_results=auth_results(called for called in calls if called.call.plugin in counting),
            record=self._record(
                queue_id, session, envelope, message, facts, evidence, decisions, outcome.reply, told, now, takes_each=takes_each
            ),
            replies=outcome.replies,
            shadowing=self._shadowing,
        )

    def _early(self, session: Session, envelope: Envelope, recipient: RecipientFacts | None, stage: Stage) -> Reply | None:
        policy = self._judging(recipient).policy
        ruling = policy.floor_of(called.call.plugin for called in self._heard if called.failed)
        if ruling is None and policy.may_end_at(stage):
            facts = session_facts(session) | envelope_facts(envelope)
            ruling = policy.judge(facts, self._canaries.looked.evidence(self._heard), recipient, stage=stage)
        if ruling is None or ruling.verdict not in (Verdict.REJECT, Verdict.TEMPFAIL):
            return None
        self._refused = ruling
        return ruling.reply or LOCAL_ERROR

    @property
    def _bench(self) -> Bench:
        """Of those that count for any recipient."""
        return self._canaries.at_mail

    def _judging(self, recipient: RecipientFacts | None) -> Bench:
        return self._bench if recipient is None else self._canaries.bench(recipient)

    def _shadow_later(self, hook: str, arguments: Mapping[str, object]) -> None:
        """The shadowed plugins are to look at what the others have seen, with what these know by now."""
        if self._bench.chain.shadowed(hook):
            self._shadow += (Step(hook, arguments, self._calls),)

    def _in_shadow(self, unknown: str, recipients: int) -> dict[str, str]:
        """The plugins that look in shadow, and why their findings are not known. recipients: how many the message has."""
        shadowed = self._canaries.looked.chain.shadowed
        found = {one.name: unknown for step in self._shadow for one in shadowed(step.hook)}
        if recipients > MOST_SHADOWED_RCPT:
            found |= {one.name: unknown or NOT_SHOWN for one in shadowed("inspect_rcpt")}
        return found

    def _steps_in_shadow(self, paths: Sequence[ForwardPath]) -> tuple[Step, ...]:
        """Those at which somebody has yet to look, who may see what the canaries before him have found."""
        shadowed = self._canaries.looked.chain.shadowed
        return tuple(
            replace(step, earlier=(*step.earlier, *self._canaries.calls(paths, step.hook)))
            for step in self._shadow
            if shadowed(step.hook)
        )

    def _to_look(self, steps: tuple[Step, ...], size_octets: int, told: Callable[[Calls], Looked]) -> Shadowing | None:
        """What is still to look, None when it is left out. told: makes of what was found what is kept of it."""
        bench = self._canaries.looked
        if not bench.room.take(size_octets):
            return None
        return Shadowing(bench.room, size_octets, bench.chain, steps, bench.message_stage_s, told)

    def _unforeseen(
        self, queue_id: QueueId, session: Session, envelope: Envelope, recipients: Sequence[RecipientFacts], message: MessageView
    ) -> Judgement:
        source = Source("core", "an unforeseen error; the log has it under this id")
        decisions = tuple(Ruling(r.address, Verdict.TEMPFAIL, 0.0, source).decision() for r in recipients)
        reply = with_id(LOCAL_ERROR, queue_id, self._bench.policy.replies)
        evidence = EvidenceSet(tuple(called.call for called in self._calls))
        record = self._record(queue_id, session, envelope, message, {}, evidence, decisions, reply, ())
        return Judgement(reply, decisions, (), tuple(() for _ in recipients), (), record)

    def _record(
        self,
        queue_id: QueueId,
        session: Session,
        envelope: Envelope,
        message: MessageView | None,
        facts: Mapping[str, FactValue],
        evidence: EvidenceSet,
        decisions: tuple[RecipientDecision, ...],
        reply: Reply,
        canaries: tuple[OfCanary, ...],
        compared: Compared = NOTHING,
        *,
        takes_each: bool = False,
    ) -> DecisionRecord:
        known = {**session_facts(session), **envelope_facts(envelope), **facts, **evidence.facts}
        return DecisionRecord(
            id=queue_id,
            received_at=utc_text(self._bench.clock.now()),
            direction=self._bench.policy.direction,
            session={name: in_words(value) for name, value in session_facts(session).items()},
            reverse_path=str(envelope.reverse_path),
            message_id="" if message is None else message.message_id,
            size_octets=0 if message is None else message.size_octets,
            calls=evidence.calls,
            facts={name: value for name, value in known.items() if name not in CONTENT},
            recipients=compared.noted(decisions),
            shadow=compared.shadow,
            canaries=canaries,
            takes_each=takes_each,
            reply=str(reply),
            policy_hash=self._bench.policy.hash,
        )


def _edits(
    calls: Calls, benches: Sequence[Bench], rulings: Sequence[Ruling]
) -> tuple[tuple[Edit, ...], tuple[tuple[Edit, ...], ...]]:
    """Those that hold for every recipient, and each one's own: by plugins that count for him, then by his rules."""
    failed = {called.call.plugin for called in calls if called.failed}
    asked = [called for called in calls if called.call.hook == "edit_message" and called.call.plugin not in failed]
    proposed = {called.call.plugin: cast(tuple[Edit, ...], called.value or ()) for called in asked}
    by_plugins = [edits_of(bench, proposed) for bench in benches]
    if all(edits == by_plugins[0] for edits in by_plugins):
        return by_plugins[0], tuple(ruling.edits for ruling in rulings)
    return (), tuple((*edits, *ruling.edits) for edits, ruling in zip(by_plugins, rulings, strict=True))
