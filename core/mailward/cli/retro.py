"""`mailward retro`: mail that was delivered, and of which more is known now, is taken back, marked or let go on."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, NoReturn

import typer

from mailward.app.config import Config
from mailward.app.filters import load_filters
from mailward.app.recipients import recipients_in
from mailward.app.retro import Busy, Retros, alone, opened_log, opened_retros, search
from mailward.cli.changes import NOT_KNOWN, SOMETHING, number_of, read_all
from mailward.cli.explain import marks_said
from mailward.cli.options import ConfigOption, JsonOption, YesOption, config_of, duration_of, whoever
from mailward.cli.output import NO_INPUT, TRY_AGAIN, USAGE, confirm, fail, moment, progress, show, table, tell, warn
from mailward.cli.retro_text import counted, done_text, head_data, plan_data, plan_text, retro_data, retro_text, what
from mailward.decisions.marks import Mark
from mailward.decisions.retro import DEEDS, Deed, Item, Order, Retro, RetroNumber
from mailward.delivery.retro import Target
from mailward.formats.text import one_line
from mailward.model.decision import DecisionRecord, utc_text
from mailward.policy import Direction
from mailward.policy.where import Where
from mailward.store.flags import bits_of
from mailward.store.refusals import StoreRefusal

app = typer.Typer(no_args_is_help=True)

DEFAULT_TAG = "$Phishing"
MOST_RECORDS = 100_000
"""That --from and --to may find: they are held in memory."""
LISTED = 100
_DIRECTIONS: tuple[Direction, ...] = ("inbound", "submission")
_QUESTION: dict[Deed, str] = {
    "quarantine": "Take {copies} out of mailboxes into quarantine?",
    "release": "Let {copies} go on from quarantine?",
    "tag": "Tag {copies} in mailboxes?",
}

NameArgument = Annotated[str, typer.Argument(help="As `mailward retro list` shows it: R17.")]


@app.callback(invoke_without_command=True)
def retro_command(
    context: typer.Context,
    where: Annotated[str, typer.Option(help="A condition as `when:` of a rule has it, for each recipient.")] = "",
    then: Annotated[str, typer.Option(help=f"{', '.join(DEEDS[:-1])} or {DEEDS[-1]}.")] = "",
    tag: Annotated[str, typer.Option(help="The keyword that mail programs see, with --then tag.")] = DEFAULT_TAG,
    since: Annotated[str, typer.Option(help="Mail of the last 30m, 2h, 7d ...")] = "7d",
    until: Annotated[str | None, typer.Option(help="Only what is older than 30m, 2h, 7d ...")] = None,
    sender: Annotated[str | None, typer.Option("--from", help="From this reverse-path, '<>', or domain.")] = None,
    to: Annotated[str | None, typer.Option(help="To this address, or to this domain: @example.org.")] = None,
    direction: Annotated[str, typer.Option(help=f"{' or '.join(_DIRECTIONS)}.")] = "inbound",
    limit: Annotated[int, typer.Option(min=1, help="Refuse when it would be more copies than this.")] = 1000,
    even_infected: Annotated[bool, typer.Option("--even-infected", help="With --then release: malware, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Act on mail that was delivered, once more is known of it.

    Called retro, as it is done in retrospect: after a wave of phishing, or a filter that was wrong. quarantine takes copies
    out of mailboxes, wherever their owners have moved them; release lets copies in quarantine go on; tag sets a keyword on
    copies in mailboxes. Whoever reads mail by IMAP sees it at once. What was deleted stays deleted. Each is recorded, and
    undone by `mailward retro undo`.

    The condition may read every fact that the policy in the files knows. It is asked of the decision records: no plugin looks
    again. Subject and author's name, which no record holds, are read in the copy. --from and --to make it quick.

    Exits 0 when all was done or there was nothing to do, 2 when something could not be done, and 75 when nothing was done since
    another `mailward retro` is at work: try again. With --dry-run: 0 when nothing would be done, 1 when something would, 2 when
    nothing would but of some recipients it is not known.

    Examples:

      mailward retro --where 'author.domain == "paypa1.example"' --then quarantine --dry-run

      mailward retro --where 'score >= 4' --from @example.net --since 2h --then tag --tag '$Suspicious' --yes

      mailward retro --where 'dmarc.result == "pass"' --from news@example.com --then release --yes --json
    """
    if context.invoked_subcommand is not None:
        if where or then:
            fail(f"--where and --then stand alone, without '{context.invoked_subcommand}'", USAGE)
        return
    deed = next((one for one in DEEDS if one == then), None)
    if then and deed is None:
        fail(f"nothing is done by '{then}': --then {'|'.join(DEEDS)}", USAGE)
    if not where or deed is None:
        fail(f"say for what mail and what to do: --where CONDITION --then {'|'.join(DEEDS)}", USAGE)
    known = next((one for one in _DIRECTIONS if one == direction), None)
    if known is None:
        fail(f"the mail of '{direction}' is not judged; one of {', '.join(_DIRECTIONS)}", USAGE)
    if deed == "tag":
        _check_tag(tag)
    who, settings = whoever(), config_of(config)
    narrowed = {"since": since, "until": until, "from": sender, "to": to}
    order = Order(
        who,
        known,
        where,
        " ".join(f"--{name} {value}" for name, value in narrowed.items() if value is not None),
        deed,
        tag if deed == "tag" else "",
        even_infected,
    )
    begin, end = datetime.now(UTC) - duration_of(since), None if until is None else datetime.now(UTC) - duration_of(until)
    marks = marks_said(to, sender, None, None, None, None)
    code = asyncio.run(_run(settings, order, begin, end, marks, limit=limit, dry_run=dry_run, yes=yes, as_json=as_json))
    if code:
        raise typer.Exit(code)


async def _run(
    config: Config,
    order: Order,
    begin: datetime,
    end: datetime | None,
    marks: Sequence[Mark],
    *,
    limit: int,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    policy = load_filters(config).policies[order.direction]
    async with opened_retros(config) as retros:
        where = Where(order.condition, "--where", policy, recipients_in(retros.directory))
        records = _records(retros, begin, end, marks, order.direction)
        found = await asyncio.to_thread(search, retros, records, where, order.deed)
        if dry_run:
            show(lambda: plan_text(order, found, limit), lambda: plan_data(order, found), as_json=as_json)
            return SOMETHING if found.matches else NOT_KNOWN if found.unknown else 0
        if len(found.matches) > limit:
            fail(
                f"nothing was done: the condition means {number_of('copy', len(found.matches), 'copies')}, and --limit is"
                f" {limit:,}; look at --dry-run, then narrow it or say --limit {len(found.matches)}",
                USAGE,
            )
        if not found.matches:
            show(lambda: plan_text(order, found, limit), lambda: plan_data(order, found), as_json=as_json)
            return 0
        if not yes and not as_json:
            tell(plan_text(order, found, limit))
        confirm(_QUESTION[order.deed].format(copies=number_of("copy", len(found.matches), "copies")), yes=yes)
        try:
            with alone(config):
                await _settle(retros)
                retro = retros.log.begin(order, datetime.now(UTC))
                items = [item async for item in _each(retros, retro, [match.target for match in found.matches])]
        except Busy:
            _fail_busy()
        if retros.teacher.problem:
            warn(f"nothing was learnt: {retros.teacher.problem}")
        show(lambda: done_text(retro, items, found), lambda: retro_data(retro, items), as_json=as_json)
        return NOT_KNOWN if any(item.state != "done" for item in items) else 0


async def _each(retros: Retros, retro: Retro, targets: Sequence[Target]) -> AsyncIterator[Item]:
    for number, target in enumerate(targets):
        progress(number, len(targets))
        yield await retros.actions.act(retro, target)
    progress(len(targets), len(targets))


async def _settle(retros: Retros) -> None:
    for item in await retros.actions.settle():
        tell(f"R{item.retro} had been cut short: {item.id} {item.recipient}: {item.outcome}")


def _records(
    retros: Retros, begin: datetime, end: datetime | None, marks: Sequence[Mark], direction: Direction
) -> Iterator[DecisionRecord]:
    store, last = retros.decisions, "9999" if end is None else utc_text(end)
    records: Iterable[DecisionRecord] = store.evidence(begin)
    if marks:
        records = store.find(marks=marks, since=begin, until=end, limit=MOST_RECORDS + 1)
        if len(records) > MOST_RECORDS:
            fail(f"that is more than {MOST_RECORDS:,} messages; narrow it by --since and --until", USAGE)
        total = len(records)
    else:
        total = store.count(begin)
    return (one for one in read_all(records, total) if one.direction == direction and one.policy_hash and one.received_at < last)


def _check_tag(tag: str) -> None:
    if tag.startswith("\\"):
        fail(f"'{tag}' is a flag of IMAP itself; a tag is a keyword like {DEFAULT_TAG}", USAGE)
    try:
        bits_of([tag], (), make=True)
    except StoreRefusal as error:
        fail(f"'{tag}' is no tag: {error}", USAGE)


@app.command("list")
def list_command(
    limit: Annotated[int, typer.Option(min=1, help="List so many at most, the newest.")] = LISTED,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what was done to delivered mail, the newest first. It shows when, by whom, on what condition, to how many copies.

    Example: mailward retro list
    """
    with opened_log(config_of(config)) as log:
        found = log.latest(limit)
    rows = [("ID", "WHEN", "WHO", "WHAT", "COPIES", "CONDITION")]
    rows += [
        (
            retro.name,
            moment(retro.begun_at),
            retro.order.who,
            what(retro),
            counted(counts),
            one_line(retro.order.condition),
        )
        for retro, counts in found
    ]
    data = [head_data(retro) | {"copies": counts} for retro, counts in found]
    show(table(rows) if found else "nothing was done to delivered mail yet", data, as_json=as_json)


@app.command("show")
def show_command(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print one of them with every copy, and what became of it.

    Example: mailward retro show R1
    """
    with opened_log(config_of(config)) as log:
        retro = _named(log.get(_number(name)), name)
        items = log.items(retro.number)
    show(lambda: retro_text(retro, items), lambda: retro_data(retro, items), as_json=as_json)


@app.command("undo")
def undo_command(name: NameArgument, yes: YesOption = False, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Put everything back as far as that can be. Of the rest it says why it cannot.

    What was taken out of a mailbox goes back into it with its flags and its date; a tag is taken off again; what was released
    into a mailbox is taken back into the quarantine, and what a plugin has learnt from it stays learnt. What was released,
    dropped or deleted since stays so. Repeat it when it was cut short.

    Exits 0 when all was undone, 2 when something could not be, and 75 when another `mailward retro` is at work: try again.

    Example: mailward retro undo R1 --yes
    """
    number, settings = _number(name), config_of(config)
    with opened_log(settings) as log:
        retro = _named(log.get(number), name)
    confirm(f"Undo {retro.name}, {what(retro)} where {retro.order.condition}?", yes=yes)
    retro, items = asyncio.run(_undo(settings, retro))
    show(lambda: retro_text(retro, items), lambda: retro_data(retro, items), as_json=as_json)
    if any(item.state == "done" for item in items):
        raise typer.Exit(NOT_KNOWN)


async def _undo(config: Config, retro: Retro) -> tuple[Retro, list[Item]]:
    async with opened_retros(config) as retros:
        try:
            with alone(config):
                await _settle(retros)
                done = [item for item in retros.log.items(retro.number) if item.state == "done"]
                for number, item in enumerate(done):
                    progress(number, len(done))
                    await retros.actions.undo(retro, item)
                progress(len(done), len(done))
                retros.log.undone(retro, datetime.now(UTC))
        except Busy:
            _fail_busy()
        return retros.log.get(retro.number) or retro, retros.log.items(retro.number)


def _fail_busy() -> NoReturn:
    fail("nothing was done: another `mailward retro` is at work; try again when it has ended", TRY_AGAIN)


def _number(name: str) -> RetroNumber:
    digits = name.removeprefix("R").removeprefix("r")
    if not digits.isdecimal() or len(digits) > 18:
        fail(f"'{name}' is no id; mailward retro list shows them", USAGE)
    return RetroNumber(int(digits))


def _named(retro: Retro | None, name: str) -> Retro:
    if retro is None:
        fail(f"there is no {name}; mailward retro list shows what there is", NO_INPUT)
    return retro
