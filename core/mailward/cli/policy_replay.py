"""`mailward policy replay`: what another policy would have made of the mail that was judged."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import typer

from mailward.app.config import Config
from mailward.app.filters import policy_at
from mailward.app.judging import kept_canary_key
from mailward.cli.changes import NOT_KNOWN, SOMETHING, number_of, read_all, tally_data, tally_lines, worst_lines
from mailward.cli.decisions import more_actions, source_text
from mailward.cli.options import ConfigOption, JsonOption, config_of, duration_of, opened_decisions, opened_directory
from mailward.cli.output import USAGE, fail, moment, show
from mailward.decisions import DecisionStore
from mailward.decisions.replay import Example, ReplayReport
from mailward.directory import Directory
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.model.address import Address, ForwardPath
from mailward.model.decision import RecipientDecision
from mailward.policy import Direction, Policy, RecipientFacts
from mailward.policy.replay import Replay

_DIRECTIONS: tuple[Direction, ...] = ("inbound", "submission")


def replay_command(
    policy: Annotated[
        Path | None, typer.Option(help="A policy file, or a folder with inbound.yaml; else the one you edit.")
    ] = None,
    since: Annotated[str, typer.Option(help="Of the last 30m, 2h, 7d ...")] = "7d",
    direction: Annotated[str, typer.Option(help=f"{' or '.join(_DIRECTIONS)}.")] = "inbound",
    limit: Annotated[int, typer.Option(min=0, help="Show so many recipients at most.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the mail of the last days once more, by a policy that is not in force yet, and say what would have changed.

    No plugin looks again: the policy judges what they found then, with their settings of then. Domains of ours, groups of
    recipients and lists are those of today; lists that have changed since are named. Without --policy it is the one in
    the files, whether or not the server has been told to reload. Numbers are recipients, the worst change stands first. A message
    of which something is missing (a plugin that did not look, a fact that no record holds, mail refused before it came) is
    counted apart, never as unchanged.

    Exits 0 when nothing would have changed, 1 when something would, and 2 when of some messages that cannot be said.

    Examples:

      mailward policy replay --since 24h

      mailward policy replay --policy new/inbound.yaml --limit 100

      mailward policy replay --json
    """
    wanted = next((one for one in _DIRECTIONS if one == direction), None)
    if wanted is None:
        fail(f"the mail of '{direction}' is not judged; one of {', '.join(_DIRECTIONS)}", USAGE)
    settings = config_of(config)
    new = policy_at(settings, wanted, settings.policies if policy is None else policy)
    begin = datetime.now(UTC) - duration_of(since)
    with opened_decisions(settings) as store:
        report = _report(store, begin, new, settings, limit)
    changed = new.lists.changed_since(begin.timestamp())
    show(
        lambda: _text(report, new, changed, f"{wanted}, the last {since}"),
        lambda: _data(report, new, changed, begin),
        as_json=as_json,
    )
    if report.changed:
        raise typer.Exit(SOMETHING)
    if report.tally.unknown:
        raise typer.Exit(NOT_KNOWN)


def _report(store: DecisionStore, begin: datetime, policy: Policy, config: Config, limit: int) -> ReplayReport:
    report = ReplayReport(limit)
    with opened_directory(config) as directory:
        replay = Replay(policy, _recipients(directory), kept_canary_key(config))
        for record in read_all(store.evidence(begin), store.count(begin)):
            if record.direction == policy.direction and record.policy_hash:
                report.add(record, replay.judged(record))
    return report


def _recipients(directory: Directory) -> Callable[[str], RecipientFacts]:
    """Their facts by how records name them, as the directory is today."""

    @lru_cache(maxsize=10_000)
    def facts(name: str) -> RecipientFacts:
        try:
            address = parse_mailbox(name)
        except AddressSyntaxError:
            address = Address(name, "")  # the bare postmaster
        is_local = not address.domain or directory.is_local_domain(address.domain)
        return RecipientFacts.of(ForwardPath(address), is_local=is_local, groups=directory.groups_behind(address))

    return facts


def _text(report: ReplayReport, policy: Policy, changed: Mapping[str, datetime], what: str) -> str:
    if not report.messages:
        return f"no mail was judged ({what})"
    lines = [f"{what}: {number_of('message', report.messages)}, judged anew by policy {policy.hash}"]
    lines += [f"  judged then by policy {hash}: {n:,}" for hash, n in report.judged_by.most_common()]
    lines += [
        f"  the list {name} has changed since, last at {moment(at)}, and is asked as it is now" for name, at in changed.items()
    ]
    lines += ["", *tally_lines(report.tally)]
    lines += worst_lines(report.worst, report.changed, _example_lines)
    return "\n".join(lines)


def _example_lines(example: Example) -> list[str]:
    record, was, now = example.record, example.was, example.now
    return [
        f"  {record.id}  {moment(record.received_at)}  from <{record.reverse_path}> to {was.recipient or 'nobody yet'}",
        f"    {was.verdict.upper()} -> {now.verdict.upper()}   {source_text(now)}{more_actions(was, now)}",
        f"    {'it was':<8} {source_text(was)}",
    ]


def _data(report: ReplayReport, policy: Policy, changed: Mapping[str, datetime], begin: datetime) -> dict[str, Any]:
    return {
        "direction": policy.direction,
        "policy": policy.hash,
        "since": begin.isoformat(timespec="seconds"),
        "judged_by": [{"hash": hash, "messages": n} for hash, n in report.judged_by.most_common()],
        "lists_changed": {name: at.isoformat(timespec="seconds") for name, at in changed.items()},
        **tally_data(report.tally),
        "recipients_changed": report.changed,
        "examples": [
            {
                "id": example.record.id,
                "received_at": example.record.received_at,
                "reverse_path": example.record.reverse_path,
                "was": _decision(example.was),
                "would_be": _decision(example.now),
            }
            for example in report.worst.shown
        ],
    }


def _decision(decision: RecipientDecision) -> dict[str, Any]:
    return {name: value for name, value in asdict(decision).items() if name != "shadow"}
