"""A decision record as people read it: the verdict first, then numbers that add up."""

import json
from collections import Counter
from collections.abc import Collection

from mailward.cli.output import local_times, moment
from mailward.model.decision import DecisionRecord, OfCanary, RecipientDecision, WithIt
from mailward.model.evidence import HookCall


def record_as_json(record: DecisionRecord) -> object:
    """The whole record as plain values."""
    value: object = json.loads(record.to_json())
    return value


def summary_line(record: DecisionRecord) -> str:
    """One line a message: id, time, verdicts."""
    verdicts = ", ".join(f"{r.verdict} {r.recipient}" for r in record.recipients) or record.reply
    return f"{record.id}  {moment(record.received_at)}  from <{record.reverse_path}>  {verdicts}"


def record_as_text(record: DecisionRecord) -> str:
    """All of it, as in docs/how-to/explain-a-verdict.md."""
    lines = [headline(record, r) for r in record.recipients] or [record.reply + _policy(record)]
    lines += _calls(record)
    for recipient in record.recipients:
        prefix = f"  for {recipient.recipient}: " if len(record.recipients) > 1 else "  "
        lines += [f"{prefix}{local_times(action)}" for action in (*recipient.actions, *recipient.told)]
        lines += [f"{prefix}shadow: {_with_it(recipient, with_it)}" for with_it in recipient.shadow]
    lines += [f"  shadow: {thing.kind} {thing.name}: not known: {thing.unknown}" for thing in record.shadow if thing.unknown]
    lines += [f"  canary: {one.kind} {one.name}: {_for_whom(one)}" for one in record.canaries]
    lines.append("")
    if record.id:  # that of a scan has none
        lines.append(f"  id          {record.id}")
    lines.append(f"  received    {moment(record.received_at)} ({record.direction})")
    session = ", ".join(f"{key} {value}" for key, value in record.session.items() if value)
    lines += [f"  session     {session}", f"  envelope    from <{record.reverse_path}>, {record.size_octets} octets"]
    author = record.facts.get("author.address")
    if author and author != record.reverse_path:
        lines.append(f"  author      {author}")
    if record.message_id:
        lines.append(f"  message-id  {record.message_id}")
    lines.append(f"  {'reply      ' if record.id else 'would reply'} {record.reply}")
    lines += [f"  later       {moment(event.at)}  {event.recipient}: {local_times(event.text)}" for event in record.events]
    return "\n".join(lines)


def _for_whom(canary: OfCanary) -> str:
    if not canary.counted:
        return "not counted"
    return f"counted for {', '.join(canary.recipients)}" if canary.recipients else "counted"


def headline(record: DecisionRecord, decision: RecipientDecision) -> str:
    """What became of it for one recipient, and what decided."""
    text = f"{decision.verdict.upper()}  {decision.recipient}   {source_text(decision)}{_policy(record)}"
    if decision.wanted and decision.wanted != decision.verdict:
        text += f"\n    the policy wanted {decision.wanted.upper()}; other recipients of the same mail were {_others(decision)}"
    return text


def _others(decision: RecipientDecision) -> str:
    """Why one reply for all was none for him: what became of the others."""
    return {"tempfail": "deferred", "reject": "refused"}.get(decision.verdict, "accepted")


def _policy(record: DecisionRecord) -> str:
    return f"     [policy {record.policy_hash}]" if record.policy_hash else ""  # none judged a report of our own


def _with_it(decision: RecipientDecision, other: WithIt) -> str:
    """What would have been: "with plugin acme_dlp: JUNK   score 6.0 >= limits.junk 5 (...)"."""
    who = f"with {other.kind} {other.name}" if other.name else "with all of it"
    still = "still " if other.verdict == decision.verdict else ""
    return f"{who}: {still}{other.verdict.upper()}   {source_text(other)}{more_actions(decision, other)}"


def more_actions(decision: RecipientDecision, other: RecipientDecision | WithIt) -> str:
    """What would have been done beside what was done."""
    return "".join(f"; {action}" for action in other.actions if action not in decision.actions)


def source_text(decision: RecipientDecision | WithIt) -> str:
    """What decided, in words: a rule, a limit, the floor of failed or heeded plugins, or nothing."""
    where = f" ({decision.source_where})" if decision.source_where else ""
    score = f"score {decision.score:.1f}"
    if decision.source_kind == "rule":
        return f"rule {decision.source_name}{where}; {score}"
    if decision.source_kind == "limit":
        return f"{score} >= {decision.source_name}{where}; no rule matched"
    if decision.source_kind == "floor":
        return f"plugin {decision.source_name}{where}; {score}"
    if decision.source_kind == "core":
        return f"the server itself: {decision.source_name}"
    return f"{score}; no rule matched and no limit reached"


def _calls(record: DecisionRecord) -> list[str]:
    lines = []
    some = {canary.name for canary in record.canaries if canary.kind == "plugin" and (canary.recipients or not canary.counted)}
    inspections = Counter(call.plugin for call in record.calls if call.hook.startswith("inspect_"))
    for call in record.calls:
        note = _note(call, some)
        hook = f"{call.hook}: " if inspections[call.plugin] > 1 else ""
        head = f"  {call.plugin:<10} {call.duration_ms:>5.0f} ms"
        if call.error is not None:
            lines.append(f"{head}  FAILED  {call.hook}: {call.error}{note}")
        elif call.status not in ("ok", "shadow"):
            lines.append(f"{head}  {hook}{call.status}")
        elif not call.findings:
            what = f"{hook}nothing found" if call.hook.startswith("inspect_") else call.hook
            lines.append(f"{head}  {'-':<22} {'':>6}  {what}{note}")
        lines += [_finding(head, hook, call, index) + note for index in range(len(call.findings))]
    return lines


def _finding(head: str, hook: str, call: HookCall, index: int) -> str:
    finding = call.findings[index]
    name = finding.symbol or "-"
    if finding.symbol and finding.strength != 1.0:
        name += f" x{finding.strength:.2g}"
    points = f"{finding.points:+.1f}" if finding.symbol else ""
    first, hook = (head, hook) if index == 0 else (" " * len(head), "")
    return f"{first}  {name:<22} {points:>6}  {hook}{finding.text}"


def _note(call: HookCall, some: Collection[str]) -> str:
    """some: names of canaries that did not count for all recipients."""
    if call.status == "shadow":
        return " (shadow: not counted)"
    return " (canary: not counted for all)" if call.plugin in some else ""
