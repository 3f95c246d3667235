"""`mailward queue`: what waits, and what an admin may do with it. The queue process does it; this asks and prints."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, get_args

import typer

from mailward.app.config import Config
from mailward.cli.explain import noted
from mailward.cli.options import (
    ConfigOption,
    JsonOption,
    YesOption,
    config_of,
    duration_of,
    opened_decisions,
    opened_directory,
    parsed_domain,
)
from mailward.cli.output import NO_INPUT, SOFTWARE, USAGE, confirm, fail, progress, show, tell, warn
from mailward.cli.queue_text import counted, group_data, listed, ordered, shown, standing_text, taken_back, whose_mail
from mailward.delivery.calls import By, Selection, StandingOrder, Status
from mailward.delivery.static_hop import FORMS, parse_hop
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.model.ids import QueueId
from mailward.net import queued
from mailward.net.local import PeerAway, Refusal

app = typer.Typer(help="Look into the queue and act on what waits in it.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(help="The id of a message, as in 'mailward queue list'.")]
OptionalId = Annotated[str | None, typer.Argument(help="The id of a message, as in 'mailward queue list'.")]
ToOption = Annotated[str | None, typer.Option(help="Only recipients of this domain, or this one address.")]
FromOption = Annotated[
    str | None, typer.Option("--from", help="Only messages of this reverse-path, or domain of it; '<>' for delivery reports.")
]
ProblemOption = Annotated[
    str | None, typer.Option(help="Only where the last answer, or the reason it is held for, has this text in it.")
]
AgeOption = Annotated[str | None, typer.Option(help="Only messages received before 30m, 2h, 7d ...")]
AllOption = Annotated[bool, typer.Option("--all", help="All that waits.")]
STATUSES: tuple[Status, ...] = get_args(Status)
KEYS: tuple[By, ...] = get_args(By)


@app.command("list")
def list_command(
    to: ToOption = None,
    reverse_path: FromOption = None,
    status: Annotated[str | None, typer.Option(help=f"Only what is: {', '.join(STATUSES)}.")] = None,
    problem: ProblemOption = None,
    older_than: AgeOption = None,
    by: Annotated[str | None, typer.Option(help=f"Count by one of: {', '.join(KEYS)}.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Print so many messages or counts; 0 for all.")] = 1000,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the mail that waits, or count it. It shows for whom, how often it was tried, how that ended, and when it is tried
    next.

    Examples:

      mailward queue list

      mailward queue list --by domain

      mailward queue list --to example.net --older-than 1h --problem "mailbox full"

      mailward queue list --status held --json
    """
    settings = config_of(config)
    known_status = next((word for word in STATUSES if word == status), None)
    key = next((word for word in KEYS if word == by), None)
    if (status is not None and known_status is None) or (by is not None and key is None):
        fail(f"--status takes one of: {', '.join(STATUSES)}; --by one of: {', '.join(KEYS)}", USAGE)
    selection = Selection(
        to=_domain_or_address(to),
        reverse_path=_reverse_path(reverse_path),
        status=known_status or "",
        problem=problem or "",
        older_than_s=0.0 if older_than is None else duration_of(older_than).total_seconds(),
    )
    if key is not None:
        with _asking():
            groups = queued.groups(settings.queue_socket, selection, key, progress)
        some = groups[:limit] if limit else groups
        show(lambda: counted(some, key, datetime.now(UTC)), [group_data(group) for group in some], as_json=as_json)
        is_cut = len(some) < len(groups)
    else:
        with _asking():
            found = queued.messages(settings.queue_socket, selection, progress)
            messages = list(islice(found, limit)) if limit else list(found)
            is_cut = limit > 0 and next(found, None) is not None
        show(lambda: listed(messages, datetime.now(UTC)), [asdict(message) for message in messages], as_json=as_json)
    if is_cut:
        warn(f"there are more than these {limit}; --limit 0 prints all, --by domain counts them")


@app.command("show")
def show_command(id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print all about one message that waits. It shows envelope, recipients, every attempt with the answer it got, and the
    verdict.

    Without the server, 'mailward explain' shows its attempts and the verdict.

    Example: mailward queue show 01k9w3c5v7q2x8ab
    """
    settings = config_of(config)
    with _asking(f"; 'mailward explain {id}' needs no server"):
        messages = list(queued.messages(settings.queue_socket, Selection(id=id), progress))
    if not messages:
        fail(f"nothing waits as {id}; 'mailward explain {id}' may know what became of it", NO_INPUT)
    noted(settings, id)
    with opened_decisions(settings) as decisions:
        record = decisions.get(QueueId(id))
    events = [] if record is None else [asdict(event) for event in record.events]
    verdicts = [] if record is None else [asdict(decision) for decision in record.recipients]
    data = {**asdict(messages[0]), "verdicts": verdicts, "events": events}
    show(lambda: shown(messages[0], record, datetime.now(UTC)), data, as_json=as_json)


@app.command("retry")
def retry_command(
    id: OptionalId = None,
    to: ToOption = None,
    reverse_path: FromOption = None,
    problem: ProblemOption = None,
    older_than: AgeOption = None,
    all_: AllOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the next attempt at once. What is held stays held.

    Examples:

      mailward queue retry 01k9w3c5v7q2x8ab

      mailward queue retry --to example.net

      mailward queue retry --problem "Connection refused"

      mailward queue retry --all
    """
    _order("retry", _selection(id, to, reverse_path, problem, older_than, all_), "tried at once", config, as_json=as_json)


@app.command("hold")
def hold_command(
    id: OptionalId = None,
    to: ToOption = None,
    reverse_path: FromOption = None,
    problem: ProblemOption = None,
    older_than: AgeOption = None,
    all_: AllOption = False,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks into the queue.")] = "by the administrator",
    future: Annotated[
        bool, typer.Option("--future", help="Also what comes yet for other servers, with --to, --from or --all.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make no further attempt until it is released. An attempt that is under way goes on.

    Examples:

      mailward queue hold 01k9w3c5v7q2x8ab --reason "asked the sender"

      mailward queue hold --to example.net --future --reason "they are moving"

      mailward queue hold --from bulk@example.org

      mailward queue hold --all --future --reason "our address is on a blocklist"
    """
    selection = _selection(id, to, reverse_path, problem, older_than, all_)  # before any order is given: it may be a usage error
    if future:
        if any(value is not None for value in (id, problem, older_than)):
            fail("--future takes --to, --from or both, or --all, and nothing else", USAGE)
        settings = config_of(config, quiet=True)
        with _asking():
            order = StandingOrder(to=selection.to, reverse_path=selection.reverse_path, reason=reason)
            queued.stand(settings.queue_socket, order)
        tell(f"it stands until: {taken_back(order)}")
    _order("hold", selection, "held", config, as_json=as_json, reason=reason, may_be_none=future)


@app.command("release")
def release_command(
    id: OptionalId = None,
    to: ToOption = None,
    reverse_path: FromOption = None,
    problem: ProblemOption = None,
    older_than: AgeOption = None,
    all_: AllOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let what is held go on, at once. That is what 'hold' holds, and what the server holds since each attempt killed a
    process.

    An order to hold what comes yet is taken back by the same --to and --from that gave it, and every one by --all.

    Examples:

      mailward queue release 01k9w3c5v7q2x8ab

      mailward queue release --problem "asked the sender"

      mailward queue release --all
    """
    selection = _selection(id, to, reverse_path, problem, older_than, all_)
    with _asking():
        lifted = queued.lift(config_of(config, quiet=True).queue_socket, selection, is_reroute=False)
    for order in lifted:
        tell(f"no longer held when it comes: {whose_mail(order)}")
    _order("release", selection, "released", config, as_json=as_json, may_be_none=bool(lifted))


@app.command("reroute")
def reroute_command(
    id: OptionalId = None,
    to: Annotated[str | None, typer.Option(help="All mail to this domain, what comes yet too.")] = None,
    via: Annotated[str | None, typer.Option(help=f"Where to send it, as in `routes`: {FORMS}.")] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Let it go where it would again; without ID and --to, all of it.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send mail to another host than DNS and the configuration say. One message, or all mail to a domain, until --clear.

    The policy's demands on encryption stay; a certificate that must be proven is that of the host named here.

    Examples:

      mailward queue reroute 01k9w3c5v7q2x8ab --via smtp:mx2.example.net

      mailward queue reroute --to example.net --via smtp:[192.0.2.7]:2525

      mailward queue reroute --to example.net --clear
    """
    if clear == (via is not None) or (id is not None and to is not None) or (id is None and to is None and not clear):
        fail("say what and where to: an ID or --to DOMAIN, and --via smtp:HOST[:PORT] or --clear", USAGE)
    settings = config_of(config)
    domain = "" if to is None else parsed_domain(to)
    with _asking():
        if via is None:
            orders = queued.lift(settings.queue_socket, Selection(id=id or "", to=domain), is_reroute=True)
            if not orders:
                fail("no such mail is rerouted", NO_INPUT)
        else:
            if domain and _is_served(settings, domain):
                fail(f"{domain} is served here, so its mail goes into mailboxes and not to another host", USAGE)
            orders = [StandingOrder(id=id or "", to=domain, via=_next_hop(via))]
            if id is not None and not list(queued.messages(settings.queue_socket, Selection(id=id), progress)):
                fail(f"nothing waits as {id}", NO_INPUT)
            queued.stand(settings.queue_socket, orders[0])
    lines = [f"{whose_mail(order)} goes {'where it would again' if clear else f'to {order.via}'}" for order in orders]
    what = f" {id}" if id is not None else f" --to {domain}" if domain else ""
    lines.append(f"what waits goes there at its next attempt; at once by: mailward queue retry{what or ' --all'}")
    show("\n".join(lines), [asdict(order) for order in orders], as_json=as_json)


@app.command("orders")
def orders_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the orders that hold for mail to come. They are those of 'hold --future' and 'reroute', each with how it is taken
    back.

    Example: mailward queue orders
    """
    settings = config_of(config)
    with _asking():
        orders = queued.standing(settings.queue_socket)
    show(lambda: standing_text(orders), [asdict(order) for order in orders], as_json=as_json)


@app.command("drop")
def drop_command(
    id: OptionalId = None,
    to: ToOption = None,
    reverse_path: FromOption = None,
    problem: ProblemOption = None,
    older_than: AgeOption = None,
    all_: AllOption = False,
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the quarantine.")] = "dropped from the queue",
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take mail out of the queue. A copy goes to the quarantine first; its sender is told nothing.

    Examples:

      mailward queue drop 01k9w3c5v7q2x8ab --to bob@example.net --yes

      mailward queue drop --from bulk@example.org --reason "sent by a stolen account"
    """
    selection = _selection(id, to, reverse_path, problem, older_than, all_)
    if not yes:
        with _asking():
            count = sum(
                g.recipients for g in queued.groups(config_of(config, quiet=True).queue_socket, selection, "status", progress)
            )
        confirm(f"Drop mail for {count} recipients?", yes=count == 0)
    _order("drop", selection, "dropped", config, as_json=as_json, reason=reason)


def _selection(
    id: str | None, to: str | None, reverse_path: str | None, problem: str | None, older_than: str | None, all_: bool
) -> Selection:
    """Never all by a slip: it is said what is meant, or that all is."""
    narrowed = any(value is not None for value in (id, to, reverse_path, problem, older_than))
    if narrowed == all_:
        fail("say which: an ID, --to, --from, --problem or --older-than; or --all and none of these", USAGE)
    return Selection(
        id=id or "",
        to=_domain_or_address(to),
        reverse_path=_reverse_path(reverse_path),
        problem=problem or "",
        older_than_s=0.0 if older_than is None else duration_of(older_than).total_seconds(),
    )


def _is_served(config: Config, domain: str) -> bool:
    with opened_directory(config) as directory:
        return directory.is_local_domain(domain)


def _next_hop(text: str) -> str:
    """As standing orders have it."""
    try:
        return str(parse_hop(text))
    except ValueError as error:
        fail(f"--via: {error}", USAGE)


def _reverse_path(text: str | None) -> str:
    return "<>" if text == "<>" else _domain_or_address(text)


def _domain_or_address(text: str | None) -> str:
    """As paths have it: the domain in A-labels."""
    if text is None:
        return ""
    local_part, at, domain = text.rpartition("@")
    try:
        return f"{local_part}{at}{normalise_domain(domain)}"
    except AddressSyntaxError as error:
        fail(f"'{text}' is neither a domain nor an address: {error}", USAGE)


@contextmanager
def _asking(instead: str = "") -> Iterator[None]:
    """Ends the command when the server does not answer. The spool is not opened beside it: one process at a time has the mail."""
    try:
        yield
    except PeerAway as error:
        fail(f"the server does not answer; start it with 'mailward serve'{instead} ({error})", SOFTWARE)
    except Refusal as error:
        fail(f"the server refused: {error}", SOFTWARE)


def _order(
    name: queued.Order,
    selection: Selection,
    done: str,
    path: Path | None,
    *,
    as_json: bool,
    reason: str = "",
    may_be_none: bool = False,
) -> None:
    """Give an order and say for whom it was carried out. may_be_none: something else was done already."""
    settings = config_of(path)
    with _asking():
        answers = list(queued.order(settings.queue_socket, name, selection, progress, reason))
    if not answers and not may_be_none:
        fail(f"nothing {'is held' if name == 'release' else 'waits'} that matches", NO_INPUT)
    show(lambda: ordered(answers, done) or "none of it waits now", [asdict(answer) for answer in answers], as_json=as_json)
    if answers and all(answer.why_not for answer in answers):
        raise typer.Exit(SOFTWARE)
