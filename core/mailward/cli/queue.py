"""`mailward queue`: what waits, and what an admin may do with it. The queue process does it; this asks and prints."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mailward.app.config import Config
from mailward.cli.decisions import source_text
from mailward.cli.options import ConfigOption, JsonOption, YesOption, config_of, duration_of, opened_decisions
from mailward.cli.output import NO_INPUT, SOFTWARE, USAGE, confirm, fail, moment, show, table
from mailward.delivery.control import Selection, WaitingMessage, WaitingRecipient
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.model.decision import DecisionRecord
from mailward.model.ids import QueueId
from mailward.net import queued
from mailward.net.local import PeerAway, Refusal

app = typer.Typer(help="Look into the queue and act on what waits in it.", no_args_is_help=True)

LISTED_WORDS = 80
"""Characters of the last answer in a list; 'show' has all."""

IdArgument = Annotated[str, typer.Argument(help="The id of a message, as in 'mailward queue list'.")]
OptionalId = Annotated[str | None, typer.Argument(help="The id of a message, as in 'mailward queue list'.")]
ToOption = Annotated[str | None, typer.Option(help="Only recipients of this domain, or this one address.")]
FromOption = Annotated[str | None, typer.Option("--from", help="Only messages of this reverse-path; '<>' for delivery reports.")]
AllOption = Annotated[bool, typer.Option("--all", help="All that waits.")]


@app.command("list")
def list_command(
    to: ToOption = None,
    reverse_path: FromOption = None,
    held: Annotated[bool, typer.Option("--held", help="Only what is held.")] = False,
    older_than: Annotated[str | None, typer.Option(help="Only messages received before 30m, 2h, 7d ...")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print who waits for what mail, how often it was tried, how that ended, and when it is tried next.

    Examples:

      mailward queue list

      mailward queue list --to example.net --older-than 1h

      mailward queue list --held --json
    """
    settings = config_of(config)
    age_s = 0.0 if older_than is None else duration_of(older_than).total_seconds()
    selection = Selection(to=_domain_or_address(to), reverse_path=reverse_path or "", is_held=held, older_than_s=age_s)
    messages = _messages(settings, selection)
    show(lambda: _listed(messages, datetime.now(UTC)), [asdict(message) for message in messages], as_json=as_json)


@app.command("show")
def show_command(id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print all about one message that waits: envelope, recipients, every attempt with the answer it got, and the verdict.

    Example: mailward queue show 01k9w3c5v7q2x8ab
    """
    settings = config_of(config)
    messages = _messages(settings, Selection(id=id))
    if not messages:
        fail(f"nothing waits as {id}; 'mailward explain {id}' may know what became of it", NO_INPUT)
    with opened_decisions(settings) as decisions:
        record = decisions.get(QueueId(id))
    events = [] if record is None else [asdict(event) for event in record.events]
    verdicts = [] if record is None else [asdict(decision) for decision in record.recipients]
    data = {**asdict(messages[0]), "verdicts": verdicts, "events": events}
    show(lambda: _shown(messages[0], record, datetime.now(UTC)), data, as_json=as_json)


@app.command("retry")
def retry_command(
    id: OptionalId = None,
    to: ToOption = None,
    all_: AllOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the next attempt at once. What is held stays held.

    Examples:

      mailward queue retry 01k9w3c5v7q2x8ab

      mailward queue retry --to example.net

      mailward queue retry --all
    """
    _order("retry", _selection(id, to, all_), "tried at once", config, as_json=as_json)


@app.command("hold")
def hold_command(
    id: OptionalId = None,
    to: ToOption = None,
    all_: AllOption = False,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks into the queue.")] = "by the administrator",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make no further attempt until it is released. An attempt that is under way goes on.

    Examples:

      mailward queue hold 01k9w3c5v7q2x8ab --reason "asked the sender"

      mailward queue hold --to example.net
    """
    _order("hold", _selection(id, to, all_), "held", config, as_json=as_json, reason=reason)


@app.command("release")
def release_command(
    id: OptionalId = None,
    to: ToOption = None,
    all_: AllOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let what is held go on, at once: what 'hold' holds, and what the server holds since each attempt killed a process.

    Examples:

      mailward queue release 01k9w3c5v7q2x8ab

      mailward queue release --all
    """
    _order("release", _selection(id, to, all_), "released", config, as_json=as_json)


@app.command("drop")
def drop_command(
    id: IdArgument,
    to: ToOption = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the quarantine.")] = "dropped from the queue",
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a message out of the queue. A copy goes to the quarantine first; its sender is told nothing.

    Example: mailward queue drop 01k9w3c5v7q2x8ab --to bob@example.net --yes
    """
    selection = Selection(id=id, to=_domain_or_address(to))
    confirm(f"Drop {id} for {to or 'all its recipients'}?", yes=yes)
    _order("drop", selection, "dropped", config, as_json=as_json, reason=reason)


def _selection(id: str | None, to: str | None, all_: bool) -> Selection:
    if [id is not None, to is not None, all_].count(True) != 1:
        fail("say which: an ID, --to DOMAIN or --all", USAGE)
    return Selection(id=id or "", to=_domain_or_address(to))


def _domain_or_address(text: str | None) -> str:
    """As forward-paths have it: the domain in A-labels."""
    if text is None:
        return ""
    local_part, at, domain = text.rpartition("@")
    try:
        return f"{local_part}{at}{normalise_domain(domain)}"
    except AddressSyntaxError as error:
        fail(f"'{text}' is neither a domain nor an address: {error}", USAGE)


# Asking


@contextmanager
def _asking() -> Iterator[None]:
    """Ends the command when the server does not answer."""
    try:
        yield
    except PeerAway as error:
        fail(f"the server does not answer; start it with 'mailward serve' ({error})", SOFTWARE)
    except Refusal as error:
        fail(f"the server refused: {error}", SOFTWARE)


def _messages(config: Config, selection: Selection) -> list[WaitingMessage]:
    """All pages; a message that is divided between two is put together again."""
    found: dict[QueueId, WaitingMessage] = {}
    with _asking():
        for page in queued.pages(config.queue_socket, selection):
            for message in page.messages:
                known = found.get(message.id)
                found[message.id] = replace(known, recipients=known.recipients + message.recipients) if known else message
    return list(found.values())


def _order(name: queued.Order, selection: Selection, done: str, path: Path | None, *, as_json: bool, reason: str = "") -> None:
    """Give an order and say for whom it was carried out."""
    settings = config_of(path)
    with _asking():
        answers = list(queued.order(settings.queue_socket, name, selection, reason))
    if not answers:
        fail(f"nothing {'is held' if name == 'release' else 'waits'} that matches", NO_INPUT)
    rows = [(a.id, a.forward_path, f"not {done}: {a.why_not}" if a.why_not else done) for a in answers]
    show(lambda: table(rows), [asdict(answer) for answer in answers], as_json=as_json)
    if all(answer.why_not for answer in answers):
        raise typer.Exit(SOFTWARE)


# Printing


def _listed(messages: Sequence[WaitingMessage], now: datetime) -> str:
    if not messages:
        return "nothing waits"
    rows = [("ID", "AGE", "SIZE", "FROM", "TO", "TRIED", "NEXT", "LAST ANSWER")]
    for message in messages:
        age = _span((now - datetime.fromisoformat(message.received_at)).total_seconds())
        head = (message.id, age, _size(message.size_octets), message.reverse_path or "<>")
        for recipient in message.recipients:
            tail = (recipient.forward_path, str(recipient.failures), _next(recipient, now))
            rows.append((*head, *tail, recipient.words[:LISTED_WORDS]))
    recipients = [recipient for message in messages for recipient in message.recipients]
    held = sum(recipient.state == "held" for recipient in recipients)
    return f"{table(rows)}\n\nwaiting: {len(messages)} messages, {len(recipients)} recipients, {held} of them held"


def _shown(message: WaitingMessage, record: DecisionRecord | None, now: datetime) -> str:
    received = _moment(message.received_at, now)
    by = f", by {message.user}" if message.user else ""
    lines = [
        f"{message.id}   {_size(message.size_octets)}, received {received} ({message.origin}{by})",
        f"  from  <{message.reverse_path}>",
    ]
    if message.envelope_id:
        lines.append(f"        the sender calls it {message.envelope_id}")
    if message.require_tls:
        lines.append("        the sender requires verified TLS on all its way (REQUIRETLS)")
    if message.tls_optional:
        lines.append("        the sender lets it go without TLS (TLS-Required: No)")
    if message.hold_until:
        lines.append(f"        held by its sender until {_moment(message.hold_until, now)} (FUTURERELEASE)")
    if message.deliver_by:
        late = "it comes back" if message.by_mode == "R" else "its sender hears that it is late"
        lines.append(f"        to be delivered by {_moment(message.deliver_by, now)}, else {late} (DELIVERBY)")
    if message.priority:
        lines.append(f"        its sender gives it priority {message.priority} (MT-PRIORITY)")
    if message.ret:
        lines.append(f"        when it fails, the sender gets back {'all of it' if message.ret == 'FULL' else 'its header'}")
    for recipient in message.recipients:
        lines += ["", f"  to    <{recipient.forward_path}>   {recipient.state}, route {recipient.route}"]
        lines.append(f"        next attempt {_next(recipient, now)}; failed so far: {recipient.failures}")
        if recipient.notify:
            lines.append(f"        the sender wants to hear of: {recipient.notify.replace(',', ', ').lower()}")
        if recipient.original_recipient:
            lines.append(f"        first addressed to {recipient.original_recipient}")
        if recipient.words:
            lines.append(f"        last answer: {recipient.words}")
    if record is not None:
        lines += ["", *(f"  {d.verdict.upper()} {d.recipient}: {source_text(d)}" for d in record.recipients)]
        lines += [f"  {_moment(event.at, now)}  {event.recipient}: {event.text}" for event in record.events]
        lines += [f"  more: mailward explain {message.id}"]
    return "\n".join(lines)


def _next(recipient: WaitingRecipient, now: datetime) -> str:
    if recipient.state != "waiting":
        return f"never, held: {recipient.reason}" if recipient.reason else "under way"
    at = datetime.fromisoformat(recipient.next_at) if recipient.next_at else now
    return _moment(recipient.next_at, now) if at > now else "at once"


def _moment(text: str, now: datetime) -> str:
    """A moment, and how far it is from now."""
    seconds = (datetime.fromisoformat(text) - now).total_seconds()
    return f"{moment(text)} (" + (f"in {_span(seconds)})" if seconds >= 0 else f"{_span(-seconds)} ago)")


def _span(seconds: float) -> str:
    """Two units at most, as people say it."""
    whole = round(seconds)
    for unit, length, part, smaller in (("d", 86400, 3600, "h"), ("h", 3600, 60, "m"), ("m", 60, 1, "s")):
        if whole >= length:
            rest = whole % length // part
            return f"{whole // length}{unit}" + (f" {rest}{smaller}" if rest else "")
    return f"{whole}s"


def _size(octets: int) -> str:
    for unit, length in (("MB", 1_000_000), ("kB", 1000)):
        if octets >= length:
            return f"{octets / length:.1f} {unit}"
    return f"{octets} B"
