"""`mailward list`: what stands on the lists of policies that are kept in the database."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from mailward.app.filters import lists_in_database
from mailward.cli.lists_text import asked_by, change_data, change_row, counted, done_data, done_text, entry_data, entry_row
from mailward.cli.options import ConfigOption, JsonOption, YesOption, config_of, duration_of, whoever
from mailward.cli.output import NO_INPUT, USAGE, confirm, fail, moment, show, table
from mailward.formats.nearest import nearest
from mailward.lists import KeptEntry, ListError, ListStore, Remark
from mailward.policy import Direction
from mailward.policy.entries import Entries, EntryError, ListType, normalised
from mailward.policy.lists import MAX_FILE_OCTETS, file_lines

MOST_NOTED = 500
"""Characters."""

app = typer.Typer(help="Lists that policies ask: who is on them, and until when.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="The list, for example blocked.")]
ForOption = Annotated[str | None, typer.Option("--for", metavar="TIME", help="It counts for so long: 12h, 7d ...")]
UntilOption = Annotated[
    str | None, typer.Option(help="The last day on which it counts, 2026-12-31, or a moment, 2026-12-31T18:00.")
]
NoteOption = Annotated[str, typer.Option(help="Why, for whoever asks later.")]


@app.command("show")
def show_command(
    name: Annotated[str | None, typer.Argument(help="The list; all lists without it.")] = None,
    changes: Annotated[bool, typer.Option("--changes", help="What came and went, the newest first.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="So many lines at most, 0 for all.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the lists, or what is on one of them. The newest entry stands first; it shows since when, by whom, until when and
    why.

    Examples:

      mailward list show

      mailward list show blocked

      mailward list show blocked --changes
    """
    settings = config_of(config)
    store, wanted, now = ListStore(settings.lists_file), lists_in_database(settings), _now()
    if name is None:
        known = {**store.types(), **{one: next(iter(types.values())) for one, types in wanted.items()}}
        found = [(one, known[one], store.count(one, now), wanted.get(one, {})) for one in sorted(known)]
        rows = [(one, type, counted(count), asked_by(used)) for one, type, count, used in found]
        data = [{"list": one, "type": type, "entries": count, "policies": [*used]} for one, type, count, used in found]
        show(table(rows) if rows else "no policy has a list with `database: true`", data, as_json=as_json)
        return
    type = _type(store, wanted, name)
    most = limit or -1
    if changes:
        events = store.changes(name, most)
        rows_of = [change_row(event) for event in events]
        show(
            table(rows_of) if rows_of else f"{name} has never changed", [change_data(event) for event in events], as_json=as_json
        )
        return
    entries, count = store.entries(name, now, most), store.count(name, now)
    lines = [f"{name}: {counted(count)} of type {type}, {asked_by(wanted.get(name, {}))}"]
    lines.append(table([entry_row(entry) for entry in entries]))
    if count > len(entries):
        lines.append(f"and {count - len(entries):,} older ones; --limit 0 prints all")
    data_of = {"list": name, "type": type, "policies": [*wanted.get(name, {})], "entries": count,
               "shown": [entry_data(entry) for entry in entries]}  # fmt: skip
    show("\n".join(line for line in lines if line), data_of, as_json=as_json)


@app.command("add")
def add_command(
    name: NameArgument,
    values: Annotated[list[str], typer.Argument(help="What the type of the list allows, for example eve@example.net.")],
    span: ForOption = None,
    until: UntilOption = None,
    note: NoteOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put entries on a list. They count at once; one that is there already gets this end and this note.

    The list stands in a policy: `lists: {blocked: {type: address, database: true}}`.

    Examples:

      mailward list add blocked eve@example.net --for 7d --note "wave of invoices"

      mailward list add partners example.com .example.net
    """
    by = whoever()
    remark = _remark(by, note)
    ends_at = _end(span, until, remark.at)
    settings = config_of(config)
    store, wanted = ListStore(settings.lists_file), lists_in_database(settings)
    type = _type_to_add(wanted, name)
    entries = [_checked(type, value, value) for value in values]
    try:
        done = store.put(name, type, entries, remark, ends_at)
    except ListError as error:
        fail(str(error), USAGE)
    show(done_text(name, done, ends_at), done_data(name, done, ends_at), as_json=as_json)


@app.command("import")
def import_command(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="One entry a line; # begins a comment.", exists=False)],
    replace: Annotated[bool, typer.Option("--replace", help="Take off what is not in the file.")] = False,
    span: ForOption = None,
    until: UntilOption = None,
    note: NoteOption = "",
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put all entries of a file on a list. What is there already stays as it is. When a line is wrong, nothing is changed.

    Examples:

      mailward list import blocked senders.txt --note "from the old server"

      mailward list import feed today.txt --replace --yes
    """
    by = whoever()
    octets = _octets(file)
    remark = _remark(by, note)
    ends_at = _end(span, until, remark.at)
    settings = config_of(config)
    store, wanted = ListStore(settings.lists_file), lists_in_database(settings)
    type = _type_to_add(wanted, name)
    entries = _entries_of(octets, type, file)
    if replace:
        going = store.count(name, remark.at) - len(set(entries).intersection(store.read(name, remark.at.timestamp()).values))
        if going:
            confirm(f"Take {counted(going)} off the list {name}?", yes=yes)
    try:
        done = store.fill(name, type, entries, remark, ends_at, alone=replace)
    except ListError as error:
        fail(str(error), USAGE)
    show(done_text(name, done, ends_at), done_data(name, done, ends_at), as_json=as_json)


@app.command("remove")
def remove_command(
    name: NameArgument,
    values: Annotated[list[str] | None, typer.Argument(help="The entries.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is on it.")] = False,
    note: NoteOption = "",
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take entries off a list. Counts at once.

    Examples:

      mailward list remove blocked eve@example.net

      mailward list remove blocked --all --yes
    """
    if bool(values) == everything:
        fail("name the entries, or all by --all", USAGE)
    by = whoever()
    remark = _remark(by, note)
    settings = config_of(config)
    store, wanted = ListStore(settings.lists_file), lists_in_database(settings)
    type = _type(store, wanted, name)
    entries = None if values is None else [_checked(type, value, value) for value in values]
    if entries is None:
        confirm(f"Take {counted(store.count(name, remark.at))} off the list {name}?", yes=yes)
    absent = [entry for entry in entries or () if store.entry(name, entry, remark.at) is None]
    if absent:
        fail(f"{', '.join(absent)} is not on the list {name}; nothing was changed", NO_INPUT)
    done = store.remove(name, entries, remark)
    show(done_text(name, done, None), done_data(name, done, None), as_json=as_json)


@app.command("find")
def find_command(
    value: Annotated[str, typer.Argument(help="An address, a domain, an IP address, a hash or a text.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say on which lists a value is, and by which entry. A domain is listed by .example.org too, an address by its network.

    Exits 66 when it is on none.

    Example: mailward list find 192.0.2.7
    """
    settings = config_of(config)
    store, now = ListStore(settings.lists_file), _now()
    found: list[tuple[str, KeptEntry]] = []
    for name in store.types():
        kept = store.read(name, now.timestamp())
        entries = Entries(kept.type, kept.values).holding(value) if kept.type is not None else ()
        found += ((name, entry) for one in entries if (entry := store.entry(name, one, now)) is not None)
    if not found:
        fail(f"{value} is on no list that is kept in the database; mailward list show shows them", NO_INPUT)
    rows = [(name, *entry_row(entry)) for name, entry in found]
    show(table(rows), [{"list": name, **entry_data(entry)} for name, entry in found], as_json=as_json)


def _type(store: ListStore, wanted: Mapping[str, Mapping[Direction, ListType]], name: str) -> ListType:
    """Of a list that a policy names, or that has something on it all the same."""
    there = store.types()
    if name in there:
        return there[name]
    if name in wanted:
        return next(iter(wanted[name].values()))
    hint = nearest(name, {*there, *wanted}) or "mailward list show shows them."
    fail(f"there is no list '{name}'. {hint}", NO_INPUT)


def _type_to_add(wanted: Mapping[str, Mapping[Direction, ListType]], name: str) -> ListType:
    """Nobody would ask what is on a list that no policy names."""
    if name not in wanted:
        mend = f"write {name}: {{type: address, database: true}} under lists: in policies/inbound.yaml, and run mailward reload"
        fail(f"no policy has a list '{name}' in the database. {nearest(name, wanted) or f'To have one, {mend}'}", NO_INPUT)
    types = wanted[name]
    if len(set(types.values())) > 1:
        fail(f"policies differ on the type of {name}: {', '.join(f'{one} in {where}' for where, one in types.items())}", USAGE)
    return next(iter(types.values()))


def _checked(type: ListType, text: str, shown_as: str) -> str:
    try:
        return normalised(type, text)
    except EntryError as error:
        fail(f"'{shown_as[:80]}' does not fit a list of type {type}: {error}; nothing was changed", USAGE)


def _entries_of(octets: bytes, type: ListType, file: Path) -> list[str]:
    """Every mistake is said at once."""
    try:
        lines = file_lines(octets, type)
    except UnicodeDecodeError:
        fail(f"{file} is not UTF-8", USAGE)
    entries, problems = [], []
    for number, text in lines:
        try:
            entries.append(normalised(type, text))
        except EntryError as error:
            problems.append(f"{file}:{number}: '{text[:80]}' does not fit a list of type {type}: {error}")
    if problems:
        more = [f"and {len(problems) - 20:,} more"] if len(problems) > 20 else []
        fail("\n".join([*problems[:20], *more, "nothing was changed"]), USAGE)
    return entries


def _octets(file: Path) -> bytes:
    try:
        octets = file.read_bytes()
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}", NO_INPUT)
    if len(octets) > MAX_FILE_OCTETS:
        fail(f"{file} is larger than {MAX_FILE_OCTETS} octets", USAGE)
    return octets


def _remark(by: str, note: str) -> Remark:
    if len(note) > MOST_NOTED:
        fail(f"a note has {MOST_NOTED} characters at most", USAGE)
    return Remark(by, _now(), note.strip())


def _end(span: str | None, until: str | None, now: datetime) -> datetime | None:
    """When it counts no more; None for never. A day is one of this machine's, to its end."""
    if span is not None and until is not None:
        fail("--for and --until exclude each other", USAGE)
    if span is not None:
        ends_at = now + duration_of(span)
    elif until is None:
        return None
    else:
        try:
            given = datetime.fromisoformat(until)
        except ValueError:
            fail(f"--until: '{until}' is no day such as 2026-12-31 and no moment such as 2026-12-31T18:00", USAGE)
        is_day = "T" not in until and " " not in until
        ends_at = (given + timedelta(days=1) if is_day else given).astimezone(UTC)
    if ends_at <= now:
        fail(f"that is over: {moment(ends_at)}", USAGE)
    return ends_at


def _now() -> datetime:
    return datetime.now(UTC)
