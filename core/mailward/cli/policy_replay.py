"""`mailward policy replay`: what another policy would have made of the mail that was judged."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mailward.app.config import Config
from mailward.app.copies import Copies
from mailward.app.deep_replay import DeepReplay, Reruns
from mailward.app.filters import Filters, filters_at
from mailward.app.judging import kept_canary_key
from mailward.app.recipients import recipients_in
from mailward.app.rerunning import Rerunner
from mailward.cli.changes import NOT_KNOWN, SOMETHING, number_of, read_all, tally_data, tally_lines, worst_lines
from mailward.cli.decisions import more_actions, source_text
from mailward.cli.options import ConfigOption, JsonOption, config_of, duration_of, opened_decisions, opened_directory
from mailward.cli.output import USAGE, fail, moment, show
from mailward.decisions import DecisionStore
from mailward.decisions.replay import Example, ReplayReport
from mailward.model.decision import DecisionRecord, RecipientDecision
from mailward.model.session import Role
from mailward.policy import Direction, Policy
from mailward.policy.replay import Replay
from mailward.services.resolver import DnsResolver

_QUESTIONS = 3
"""So many are named."""
_DIRECTIONS: tuple[Direction, ...] = ("inbound", "submission")


def replay_command(
    policy: Annotated[
        Path | None, typer.Option(help="A policy file, or a folder with inbound.yaml; else the one you edit.")
    ] = None,
    since: Annotated[str, typer.Option(help="Of the last 30m, 2h, 7d ...")] = "7d",
    direction: Annotated[str, typer.Option(help=f"{' or '.join(_DIRECTIONS)}.")] = "inbound",
    deep: Annotated[bool, typer.Option("--deep", help="Run the plugins again on mail that is still stored.")] = False,
    ask_dns: Annotated[bool, typer.Option("--ask-dns", help="With --deep: ask DNS now what nobody asked at receipt.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Show so many recipients at most.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the mail of the last days by another policy. It says what would have changed.

    No plugin looks again: the policy judges what they found then, with their settings of then. Domains of ours, groups of
    recipients and lists are those of today; lists that have changed since are named. Without --policy it is the one in
    the files, whether or not the server has been told to reload. Numbers are recipients, the worst change stands first. A message
    of which something is missing (a plugin that did not look, a fact that no record holds, mail refused before it came) is
    counted apart, never as unchanged.

    With --deep plugins look again, with the settings of the new policy, at each message of which a copy is in a mailbox or in the
    quarantine: at what came, at the moment when it came, with the DNS answers of then. What they have learnt, and what scanners
    say, is of today; nothing is sent, fetched or learnt. All other mail is judged as without it, from evidence: by what was
    found and recorded when it came. The two are counted.

    Exits 0 when nothing would have changed, 1 when something would, and 2 when of some messages that cannot be said.

    Examples:

      mailward policy replay --since 24h

      mailward policy replay --policy new/inbound.yaml --limit 100

      mailward policy replay --deep --policy new/inbound.yaml --since 24h

      mailward policy replay --json
    """
    wanted = next((one for one in _DIRECTIONS if one == direction), None)
    if wanted is None:
        fail(f"the mail of '{direction}' is not judged; one of {', '.join(_DIRECTIONS)}", USAGE)
    if ask_dns and not deep:
        fail("--ask-dns needs --deep: without it no plugin asks anything", USAGE)
    settings = config_of(config)
    filters = filters_at(settings, wanted, settings.policies if policy is None else policy)
    new = filters.policies[wanted]
    begin = datetime.now(UTC) - duration_of(since)
    with opened_decisions(settings) as store:
        report, reruns = _reports(store, begin, filters, new, settings, limit, deep=deep, ask_dns=ask_dns)
    changed = new.lists.changed_since(begin.timestamp())
    show(
        lambda: _text(report, reruns, new, changed, f"{wanted}, the last {since}"),
        lambda: _data(report, reruns, new, changed, begin),
        as_json=as_json,
    )
    if report.changed:
        raise typer.Exit(SOMETHING)
    if report.tally.unknown:
        raise typer.Exit(NOT_KNOWN)


def _reports(
    store: DecisionStore,
    begin: datetime,
    filters: Filters,
    policy: Policy,
    config: Config,
    limit: int,
    *,
    deep: bool,
    ask_dns: bool,
) -> tuple[ReplayReport, Reruns | None]:
    report, total = ReplayReport(limit), store.count(begin)
    with opened_directory(config) as directory:
        recipients, key = recipients_in(directory), kept_canary_key(config)
        replay = Replay(policy, recipients, key)
        if not deep:
            for record in _of_policy(read_all(store.evidence(begin), total), policy):
                report.add(record, replay.judged(record))
            return report, None

        def rerunner() -> Rerunner:
            ask = DnsResolver(config.dns_servers) if ask_dns else None
            return Rerunner(config, filters, Role(policy.direction), recipients, key, ask)

        with closing(Copies(config)) as copies:
            replayed = DeepReplay(store, copies, replay, rerunner)
            for record, outcome in replayed.judged(_of_policy(read_all(store.evidence(begin), total, step=10), policy)):
                report.add(record, outcome)
        return report, replayed.reruns


def _of_policy(records: Iterator[DecisionRecord], policy: Policy) -> Iterator[DecisionRecord]:
    """Those that a policy of the same direction has judged."""
    return (record for record in records if record.direction == policy.direction and record.policy_hash)


def _text(report: ReplayReport, reruns: Reruns | None, policy: Policy, changed: Mapping[str, datetime], what: str) -> str:
    if not report.messages:
        return f"no mail was judged ({what})"
    lines = [f"{what}: {number_of('message', report.messages)}, judged anew by policy {policy.hash}"]
    lines += [f"  judged then by policy {hash}: {n:,}" for hash, n in report.judged_by.most_common()]
    lines += [
        f"  the list {name} has changed since, last at {moment(at)}, and is asked as it is now" for name, at in changed.items()
    ]
    lines += [] if reruns is None else _rerun_lines(reruns)
    lines += ["", *tally_lines(report.tally)]
    lines += worst_lines(report.worst, report.changed, _example_lines)
    return "\n".join(lines)


def _rerun_lines(reruns: Reruns) -> list[str]:
    lines = ["", f"  plugins run again on {number_of('message', reruns.again)}"]
    lines += [f"  from evidence {number_of('message', n)}: {why}" for why, n in reruns.from_evidence.most_common()]
    if reruns.anew:
        some = ", ".join(question for question, _ in reruns.questions.most_common(_QUESTIONS))
        lines.append(f"  asked anew: {number_of('message', reruns.anew)} wanted of DNS what nobody asked then, such as {some}")
    if reruns.otherwise:
        found = ", ".join(f"{plugin} of {number_of('message', n)}" for plugin, n in reruns.otherwise.most_common())
        lines.append(f"  found otherwise than then: {found}")
    return lines


def _example_lines(example: Example) -> list[str]:
    record, was, now = example.record, example.was, example.now
    return [
        f"  {record.id}  {moment(record.received_at)}  from <{record.reverse_path}> to {was.recipient or 'nobody yet'}",
        f"    {was.verdict.upper()} -> {now.verdict.upper()}   {source_text(now)}{more_actions(was, now)}",
        f"    {'it was':<8} {source_text(was)}",
    ]


def _data(
    report: ReplayReport, reruns: Reruns | None, policy: Policy, changed: Mapping[str, datetime], begin: datetime
) -> dict[str, Any]:
    return {
        "direction": policy.direction,
        "policy": policy.hash,
        "since": begin.isoformat(timespec="seconds"),
        "judged_by": [{"hash": hash, "messages": n} for hash, n in report.judged_by.most_common()],
        "lists_changed": {name: at.isoformat(timespec="seconds") for name, at in changed.items()},
        **({} if reruns is None else _rerun_data(reruns)),
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


def _rerun_data(reruns: Reruns) -> dict[str, Any]:
    return {
        "messages_run_again": reruns.again,
        "messages_from_evidence": dict(reruns.from_evidence),
        "messages_asked_anew": reruns.anew,
        "asked_anew": [{"question": question, "messages": n} for question, n in reruns.questions.most_common()],
        "found_otherwise": dict(reruns.otherwise.most_common()),
    }


def _decision(decision: RecipientDecision) -> dict[str, Any]:
    return {name: value for name, value in asdict(decision).items() if name != "shadow"}
