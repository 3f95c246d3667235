"""`mailward record`: real sessions as fixtures for the tests of filters, with everybody's names replaced."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from mailward.app.config import Config
from mailward.app.recording import kept_message, recorded
from mailward.cli.explain import record_of
from mailward.cli.options import ConfigOption, config_of, opened_decisions
from mailward.cli.output import NO_INPUT, USAGE, fail, show, tell, warn
from mailward.cli.reading import message_file
from mailward.model.decision import DecisionRecord
from mailward.model.ids import QueueId
from mailward.model.session import Role

LOOK_EVERY_S = 0.5
MOST = 1000


def record_command(
    which: Annotated[str | None, typer.Argument(help="An id from a reply or log line, a <Message-ID>, or 'last'.")] = None,
    next_messages: Annotated[int, typer.Option("--next", help="Wait for so many messages from now on.", min=0, max=MOST)] = 0,
    file: Annotated[str | None, typer.Option("--file", help="The message, where no copy of it is here: of one refused.")] = None,
    config: ConfigOption = None,
) -> None:
    """Print a session with its message as a fixture for tests.

    `recorded("file.json")` of mailward.testing reads it.

    Replaced, each time by the same made-up word: words and numbers of header fields and texts, names of files, mail addresses,
    domains, public IP addresses, message ids; attachments keep their size and first octets. Kept: structure, media types,
    charsets, dates, punctuation, capitals, HTML tags, boundaries, local and private addresses, the names of header fields and of
    what the filters found. Read it before you give it away: rare structure and the length of sentences can still tell who wrote.

    Passwords are not in it, for they are recorded nowhere. The DNS answers are those of the receipt, or of now where none are
    kept. Signatures that held are made anew with made-up keys, so SPF, DKIM and DMARC come out as they did. Sentences of filters
    are left out.

    Examples:

      mailward record last > tests/spam.json

      mailward record 01k9w3c5v7q2x8ab --file refused.eml > tests/refused.json

      mailward record --next 3 > tests/three.json
    """
    if (which is None) == (next_messages == 0):
        fail("say which message, an id, a <Message-ID> or 'last', or --next N", USAGE)
    octets = None if file is None else message_file(file)
    settings = config_of(config)
    if which is not None:
        with opened_decisions(settings) as store:
            found = record_of(store, which, settings)
        _print(settings, found, octets)
    else:
        _print_next(settings, next_messages)


def _print_next(config: Config, wanted: int) -> None:
    begun, seen = datetime.now(UTC), set[QueueId]()
    with opened_decisions(config) as store:
        while wanted > 0:
            time.sleep(LOOK_EVERY_S)
            for record in reversed(store.find(since=begun, limit=MOST)):
                if record.id in seen or wanted == 0:
                    continue
                if not record.events and not _is_refused(record):
                    continue  # its copy is on its way
                seen.add(record.id)
                if _print(config, record, None, hard=False):
                    wanted -= 1


def _is_refused(record: DecisionRecord) -> bool:
    return not record.reply.startswith("2")


def _print(config: Config, record: DecisionRecord, octets: bytes | None, *, hard: bool = True) -> bool:
    text = ""
    if record.direction not in {role.value for role in Role}:
        text = f"{record.id} came by no session: the server wrote it"
    elif octets is None:
        octets = kept_message(config, record)
        text = "" if octets is not None else f"of {record.id} no copy is here; --file MESSAGE gives it"
    if octets is None or text:
        if hard:
            fail(text, NO_INPUT)
        warn(text)
        return False
    made = asyncio.run(recorded(config, record, octets))
    for text in made.differs:
        warn(f"{record.id}: {text}")
    show("", made.data, as_json=True)
    tell(f"recorded {record.id}; read it before you give it away")
    return True
