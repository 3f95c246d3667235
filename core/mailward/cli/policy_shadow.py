"""`mailward policy shadow`: what would have been if everything in shadow had counted."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from mailward.cli.changes import NOT_KNOWN, SOMETHING, hash_in_force, number_of, read_all, tally_data, tally_lines, worst_lines
from mailward.cli.decisions import more_actions, source_text
from mailward.cli.options import ConfigOption, JsonOption, config_of, duration_of, opened_decisions
from mailward.cli.output import USAGE, fail, moment, show
from mailward.decisions import DecisionStore
from mailward.decisions.shadow import Example, ShadowReport, Together
from mailward.model.decision import WithIt
from mailward.policy import RULES, Direction

_DIRECTIONS: tuple[Direction, ...] = tuple(name for name, rules in RULES.items() if "shadow" in rules.modes)
_TOGETHER: dict[Together, str] = {
    "changed": "",
    "unchanged": "   (all of it together would have changed nothing)",
    "not known": "   (of something else in shadow it is not known)",
}


def shadow_command(
    since: Annotated[str, typer.Option(help="Of the last 30m, 2h, 7d ...")] = "7d",
    direction: Annotated[str, typer.Option(help=f"{' or '.join(_DIRECTIONS)}.")] = "inbound",
    limit: Annotated[int, typer.Option(min=0, help="Show so many messages at most.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what would have changed if all in shadow had counted.

    In shadow are plugins and rules that run and are recorded, and decide nothing yet. Mail is not judged again.

    Numbers are recipients, the worst change stands first. A message of which something in shadow is not known, since it failed
    or was left out, is never counted as unchanged. Each message was compared by the policy that judged it.

    Exits 0 when nothing would have changed, 1 when something would, and 2 when that cannot be said: nothing was in shadow, or
    of some messages it is not known.

    Examples:

      mailward policy shadow

      mailward policy shadow --since 24h --direction submission

      mailward policy shadow --limit 100 --json
    """
    wanted = next((one for one in _DIRECTIONS if one == direction), None)
    if wanted is None:
        fail(f"nothing is in shadow in '{direction}'; one of {', '.join(_DIRECTIONS)}", USAGE)
    settings = config_of(config)
    begin = datetime.now(UTC) - duration_of(since)
    with opened_decisions(settings) as store:
        report = _report(store, begin, wanted, limit)
        in_force = hash_in_force(settings, wanted)
        show(
            lambda: _text(report, store, f"{wanted}, the last {since}", in_force),
            lambda: _data(report, store, wanted, begin, in_force),
            as_json=as_json,
        )
    if report.changed:
        raise typer.Exit(SOMETHING)
    if report.unknown or not report.in_shadow:
        raise typer.Exit(NOT_KNOWN)


def _report(store: DecisionStore, begin: datetime, direction: Direction, limit: int) -> ShadowReport:
    report = ShadowReport(limit)
    for record in read_all(store.outcomes(begin), store.count(begin)):
        if record.direction == direction:
            report.add(record)
    return report


def _text(report: ShadowReport, store: DecisionStore, what: str, in_force: str) -> str:
    if not report.in_shadow:
        return f"nothing was in shadow ({what}: {number_of('message', report.judged)} judged)"
    lines = [f"{what}: {number_of('message', report.judged)} judged, {report.in_shadow:,} of them with something in shadow"]
    lines += [
        f"  by policy {hash}{' (in force)' if hash == in_force else ''}: {n:,}" for hash, n in report.policies.most_common()
    ]
    if len(report.things) > 1:
        lines += ["", "with all of it", *tally_lines(report.together)]
    for tally in report.things:
        where = f" ({tally.where})" if tally.where else ""
        lines += ["", f"with {tally.kind} {tally.name}{where}", *tally_lines(tally)]
    lines += worst_lines(report.worst, report.changed, lambda example: _example_lines(example, store))
    return "\n".join(lines)


def _example_lines(example: Example, store: DecisionStore) -> list[str]:
    record, decision, with_it = example.record, example.decision, example.with_it
    decider = (with_it.source_kind, with_it.source_name)
    by = [f"{one.kind} {one.name}{_found(symbols)}" for one, symbols in _by(example, store) if (one.kind, one.name) != decider]
    who = f"   by {', '.join(by)}" if by else "" if example.by else "   by several together"
    return [
        f"  {record.id}  {moment(record.received_at)}  from <{record.reverse_path}> to {decision.recipient or 'nobody yet'}",
        f"    {decision.verdict.upper()} -> {with_it.verdict.upper()}   {source_text(with_it)}"
        f"{more_actions(decision, with_it)}{who}{_TOGETHER[example.together]}",
    ]


def _found(symbols: list[str]) -> str:
    return f" ({', '.join(symbols)})" if symbols else ""


def _by(example: Example, store: DecisionStore) -> list[tuple[WithIt, list[str]]]:
    """What did it, and the symbols that a plugin had found."""
    whole = store.get(example.record.id) or example.record
    found: dict[str, dict[str, None]] = {}
    for finding in (finding for call in whole.calls for finding in call.findings):
        if finding.symbol is not None:
            found.setdefault(finding.plugin, {})[finding.symbol] = None
    return [(one, list(found.get(one.name, ())) if one.kind == "plugin" else []) for one in example.by]


def _data(report: ShadowReport, store: DecisionStore, direction: str, begin: datetime, in_force: str) -> dict[str, Any]:
    return {
        "direction": direction,
        "since": begin.isoformat(timespec="seconds"),
        "messages": report.judged,
        "messages_in_shadow": report.in_shadow,
        "messages_not_known": report.unknown,
        "policies": [{"hash": hash, "messages": n, "in_force": hash == in_force} for hash, n in report.policies.most_common()],
        "all": tally_data(report.together),
        "things": [
            {"kind": tally.kind, "name": tally.name, "where": tally.where, **tally_data(tally)} for tally in report.things
        ],
        "recipients_changed": report.changed,
        "examples": [
            {
                "id": example.record.id,
                "received_at": example.record.received_at,
                "reverse_path": example.record.reverse_path,
                "recipient": example.decision.recipient,
                "was": example.decision.verdict,
                "would_be": asdict(example.with_it),
                "by": [{"kind": one.kind, "name": one.name, "symbols": symbols} for one, symbols in _by(example, store)],
                "together": example.together,
            }
            for example in report.worst.shown
        ],
    }
