"""`mailward explain`: why a message was treated as it was."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from mailward.app.config import Config
from mailward.cli.decisions import record_as_json, record_as_text, summary_line
from mailward.cli.options import ConfigOption, JsonOption, SinceOption, config_of, duration_of, opened_decisions
from mailward.cli.output import NO_INPUT, USAGE, fail, show
from mailward.decisions import DecisionStore
from mailward.decisions.marks import Kind, Mark
from mailward.model.decision import DecisionRecord
from mailward.model.ids import QueueId
from mailward.model.verdict import Verdict
from mailward.net import queued
from mailward.net.local import PeerAway, Refusal

MOST_TRIES, TRY_S = 6, 0.1


def explain_command(
    which: Annotated[str | None, typer.Argument(help="An id from a reply or log line, a <Message-ID>, or 'last'.")] = None,
    to: Annotated[str | None, typer.Option(help="List mail to this address, or to this domain: @example.org.")] = None,
    sender: Annotated[str | None, typer.Option("--from", help="From this reverse-path, '<>', or domain.")] = None,
    verdict: Annotated[str | None, typer.Option(help=f"That somebody got: {', '.join(one.value for one in Verdict)}.")] = None,
    rule: Annotated[str | None, typer.Option(help="That this rule of the policy decided.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Of which this was found, for example SPF_FAIL.")] = None,
    plugin: Annotated[str | None, typer.Option(help="Of which this plugin found something, or failed.")] = None,
    since: SinceOption = None,
    until: Annotated[str | None, typer.Option(help="Only what is older than 30m, 2h, 7d ...")] = None,
    limit: Annotated[int, typer.Option(min=1, help="List so many at most, the newest.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what became of a message, and why.

    Who found what about it, what that added up to, which rule or limit decided, and what happened later.

    Examples:

      mailward explain last

      mailward explain 01k9w3c5v7q2x8ab

      mailward explain --to bob@example.org --since 1h

      mailward explain --from @example.net --verdict reject --since 7d

      mailward explain --symbol SPF_FAIL --limit 1000 --json
    """
    settings = config_of(config)
    with opened_decisions(settings) as store:
        marks = marks_said(to, sender, verdict, rule, symbol, plugin)
        if which is not None and not marks:
            record = record_of(store, which, settings)
            show(lambda: record_as_text(record), record_as_json(record), as_json=as_json)
        elif which is None and (marks or since is not None):
            found = store.find(marks=marks, since=ago(since), until=ago(until), limit=limit)
            show(
                lambda: "\n".join(summary_line(r) for r in found) or "nothing found",
                [record_as_json(r) for r in found],
                as_json=as_json,
            )
        else:
            fail(
                "say which message: an id, a <Message-ID>, 'last'; or which to list: --to ADDRESS, --verdict reject, --since 1h",
                USAGE,
            )


def marks_said(
    to: str | None, sender: str | None, verdict: str | None, rule: str | None, symbol: str | None, plugin: str | None
) -> list[Mark]:
    """By what records are found, of these options; ends the command for a verdict that there is none of."""
    if verdict is not None and verdict not in [one.value for one in Verdict]:
        fail(f"there is no verdict '{verdict}'; one of {', '.join(one.value for one in Verdict)}", USAGE)
    said: dict[Kind, str | None] = {
        "from": None if sender is None else sender.removeprefix("<").removesuffix(">").lower(),
        "to": None if to is None else to.lower(),
        "rule": rule,
        "symbol": symbol,
        "plugin": plugin,
        "verdict": verdict,
    }
    return [Mark(kind, text) for kind, text in said.items() if text is not None]


def ago(text: str | None) -> datetime | None:
    """The moment that was written as 30m, 2h or 7d; None for None."""
    return None if text is None else datetime.now(UTC) - duration_of(text)


def noted(config: Config, id: str) -> bool:
    """Let the queue note what it knows of a message, "" for its newest, so that it is found. False when no server runs,
    or the one that does refuses."""
    try:
        queued.note(config.queue_socket, id)
    except (PeerAway, Refusal):
        return False
    return True


def _by_id(store: DecisionStore, id: QueueId, config: Config) -> DecisionRecord | None:
    """What was answered just now is on its way from the process that took it: waited for, as long as a server could bring it."""
    record = store.get(id)
    tries = 0
    while record is None and tries < MOST_TRIES and noted(config, id):
        time.sleep(TRY_S if tries else 0.0)
        record = store.get(id)
        tries += 1
    return record


def record_of(store: DecisionStore, which: str, config: Config) -> DecisionRecord:
    """The record that these words mean; says so and ends the command when there is none."""
    if which == "last":
        noted(config, "")
        record = store.last()
    elif which.startswith("<"):
        found = store.find(message_id=which, limit=1)
        record = found[0] if found else None
    else:
        record = _by_id(store, QueueId(which), config)
    if record is None and "@" in which and not which.startswith("<"):
        fail(f"{which} is no id: --from {which} and --to {which} find messages by address", USAGE)
    if record is None:
        fail("no message has been judged yet" if which == "last" else f"nothing is known of {which}", NO_INPUT)
    return record
