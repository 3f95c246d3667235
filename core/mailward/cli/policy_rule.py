"""`mailward policy explain-rule`: what one rule asks, where its facts come from, when it is judged, and what it has decided."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from mailward.app.filters import load_filters
from mailward.cli.options import ConfigOption, JsonOption, config_of, duration_of, opened_decisions
from mailward.cli.output import NO_INPUT, USAGE, fail, moment, show, table
from mailward.cli.scoped import FLAGS, Asked, ForOption, IdentityOption, IpOption, ListenerOption, SenderOption, asked_about
from mailward.decisions.marks import Mark
from mailward.formats.nearest import nearest
from mailward.model.decision import DecisionRecord
from mailward.policy import DIRECTIONS, Policy, Rule
from mailward.policy.decide import action_words

_MOST = 1000


def explain_rule_command(
    name: Annotated[str, typer.Argument(help="The rule's name.")],
    recipient: ForOption = None,
    sender: SenderOption = None,
    ip: IpOption = None,
    listener: ListenerOption = None,
    identity: IdentityOption = None,
    direction: Annotated[str, typer.Option(help="inbound, submission, outbound or access.")] = "inbound",
    since: Annotated[str, typer.Option(help="What it decided in the last 30m, 2h, 7d ...")] = "7d",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print all about one rule of a policy. It shows what stands above it, which facts it reads and who finds them, when it is
    judged, and what it has decided.

    A rule of an override is there for the mail the override is for: say which by the options.

    Examples:

      mailward policy explain-rule infected

      mailward policy explain-rule finance-must-be-authentic --for cfo@finance.example.org
    """
    known = next((one for one in DIRECTIONS if one == direction), None)
    if known is None:
        fail(f"there is no direction '{direction}'; one of {', '.join(DIRECTIONS)}", USAGE)
    settings = config_of(config)
    policy = load_filters(settings).policies[known]
    asked = asked_about(settings, known, recipient, sender, ip, listener, identity)
    rules = policy.view(asked.origin, asked.recipient).rules
    place = next((index for index, rule in enumerate(rules) if rule.name == name), None)
    if place is None:
        hint = nearest(name, (rule.name for rule in rules)) or "mailward policy show --effective lists them."
        hint = _in_override(policy, name, asked) or hint
        fail(f"no rule is called '{name}' here. {hint}", NO_INPUT)
    begin = datetime.now(UTC) - duration_of(since)
    with opened_decisions(settings) as store:
        found = [one for one in store.find(marks=[Mark("rule", name)], since=begin, limit=_MOST) if one.direction == known]
    rule, above = rules[place], rules[:place]
    show(
        lambda: _text(policy, rule, above, found, since),
        lambda: _data(policy, rule, above, found),
        as_json=as_json,
    )


def _in_override(policy: Policy, name: str, asked: Asked) -> str:
    """That an override has this rule which does not hold for the mail that is asked about, and what would help; else ""."""
    for place, one in enumerate(policy.overrides):
        if any(rule.name == name for rule in one.rules):
            flags = " and ".join(FLAGS[key] for key in policy.override_scopes.failing(place, asked.origin, asked.recipient))
            return f"The override '{one.name}' has it, which is for other mail ({one.scope}): say which by {flags}."
    return ""


def _text(policy: Policy, rule: Rule, above: Sequence[Rule], found: Sequence[DecisionRecord], since: str) -> str:
    lines = [f"{rule.name}   {rule.where}   [policy {policy.hash}]", f"  when     {rule.when.source}"]
    lines.append(f"  then     {rule.then.value if rule.then is not None else 'adds only, and the rules below go on'}")
    lines += [f"           {action_words(action)}" for action in rule.actions]
    if rule.shadow:
        lines.append(f"  mode     {'shadow: it is recorded and does not count' if rule.canary is None else rule.canary}")
    why = "its at: says so" if rule.pinned else "the first stage at which all its facts are known"
    lines.append(f"  judged   at {rule.stage}: {why}")
    first = [one for one in above if one.then is not None and not one.shadow]
    names = ", ".join(f"{one.name} ({one.where})" for one in first)
    lines.append(f"  behind   {names or 'no other rule that could decide first'}")
    lines.append("  reads")
    lines.append(table([(f"    {fact}", *rest) for fact, *rest in _facts(policy, rule)]) or "    nothing")
    recipients = sum(_decided(record, rule.name) for record in found)
    lines.append(f"  decided  for {recipients:,}{' or more' if len(found) == _MOST else ''} recipients in the last {since}")
    lines += [f"    {one.id}  {moment(one.received_at)}  from <{one.reverse_path}>" for one in found[:3]]
    return "\n".join(lines)


def _facts(policy: Policy, rule: Rule) -> list[tuple[str, str, str]]:
    rows = []
    for name in sorted(rule.reads):
        spec, root = policy.vocabulary.facts[name], name.partition(".")[0]
        plugin = policy.plugins.get(root)
        who = "the server itself" if plugin is None else f"plugin {root} ({plugin.mode}, {plugin.where})"
        rows.append((name, f"{spec.type_name}, known from {spec.stage} on", who))
    return rows


def _decided(record: DecisionRecord, name: str) -> int:
    return sum((one.source_kind, one.source_name) == ("rule", name) for one in record.recipients)


def _data(policy: Policy, rule: Rule, above: Sequence[Rule], found: Sequence[DecisionRecord]) -> dict[str, Any]:
    return {
        "name": rule.name,
        "where": rule.where,
        "policy": policy.hash,
        "when": rule.when.source,
        "then": None if rule.then is None else rule.then.value,
        "shadow": rule.shadow,
        "stage": rule.stage,
        "pinned": rule.pinned,
        "behind": [one.name for one in above if one.then is not None and not one.shadow],
        "reads": [{"name": name, "type": kind, "from": who} for name, kind, who in _facts(policy, rule)],
        "decided": [{"id": one.id, "received_at": one.received_at, "recipients": _decided(one, rule.name)} for one in found],
    }
