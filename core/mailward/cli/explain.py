"""`mailward explain`: why a message was treated as it was."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

import typer

from mailward.app.config import Config
from mailward.cli.decisions import record_as_json, record_as_text, summary_line
from mailward.cli.options import ConfigOption, JsonOption, SinceOption, config_of, duration_of, opened_decisions
from mailward.cli.output import NO_INPUT, USAGE, fail, show
from mailward.decisions import DecisionStore
from mailward.model.decision import DecisionRecord
from mailward.model.ids import QueueId
from mailward.net import queued
from mailward.net.local import PeerAway, Refusal


def explain_command(
    which: Annotated[str | None, typer.Argument(help="An id from a reply or log line, a <Message-ID>, or 'last'.")] = None,
    to: Annotated[str | None, typer.Option(help="List what was decided for this recipient.")] = None,
    since: SinceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who found what about a message, what it added up to, which rule or limit decided, and what happened later.

    Examples:

      mailward explain last

      mailward explain 01k9w3c5v7q2x8ab

      mailward explain --to bob@example.org --since 1h
    """
    settings = config_of(config)
    with opened_decisions(settings) as store:
        if which is not None and to is None:
            record = record_of(store, which, settings)
            show(lambda: record_as_text(record), record_as_json(record), as_json=as_json)
        elif to is not None or since is not None:
            found = store.find(recipient=to, since=None if since is None else datetime.now(UTC) - duration_of(since), limit=100)
            show(
                lambda: "\n".join(summary_line(r) for r in found) or "nothing found",
                [record_as_json(r) for r in found],
                as_json=as_json,
            )
        else:
            fail("say which message: an id, a <Message-ID>, 'last', or --to ADDRESS [--since 1h]", USAGE)


def noted(config: Config, id: str) -> None:
    """Let the queue note what it knows of a message, "" for its newest, so that it is found. In vain when no server runs."""
    with suppress(PeerAway, Refusal):
        queued.note(config.queue_socket, id)


def record_of(store: DecisionStore, which: str, config: Config) -> DecisionRecord:
    """The record that these words mean; says so and ends the command when there is none."""
    if which == "last":
        noted(config, "")
        record = store.last()
    elif which.startswith("<"):
        found = store.find(message_id=which, limit=1)
        record = found[0] if found else None
    else:
        record = store.get(QueueId(which))
        if record is None:
            noted(config, which)
            record = store.get(QueueId(which))
    if record is None:
        fail("no message has been judged yet" if which == "last" else f"nothing is known of {which}", NO_INPUT)
    return record
