"""`mailward quarantine`: mail that is kept outside mailboxes, to be looked at, released or dropped."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from mailward.app.config import Config
from mailward.app.quarantine import Teacher, digest_writer, opened_quarantine, opened_release
from mailward.cli.options import (
    ConfigOption,
    JsonOption,
    SinceOption,
    YesOption,
    account_of,
    config_of,
    duration_of,
    opened_decisions,
    parsed_address,
)
from mailward.cli.output import NO_INPUT, USAGE, confirm, fail, moment, show, table, warn
from mailward.cli.quarantine_text import content, entry_text, judged
from mailward.cli.reading import field_lines, text_lines
from mailward.delivery.digest import MOST_LISTED
from mailward.delivery.expiring import expires_at
from mailward.delivery.release import Infected, NoMailbox, NotReleased, Release, Released
from mailward.directory import Account
from mailward.formats.message import MessageView
from mailward.formats.text import one_line
from mailward.model.decision import LaterEvent, utc_text
from mailward.model.grounds import is_cause
from mailward.model.ids import QueueId
from mailward.quarantine import Held, Quarantine

app = typer.Typer(help="Mail that is kept outside mailboxes.", no_args_is_help=True)

AsOption = Annotated[str | None, typer.Option("--as", help="As this user may, and only what is kept for this user.")]

Ids = Annotated[
    list[str], typer.Argument(help="Ids from `mailward quarantine list`; a copy is ID, or ID:N where there are several.")
]


@app.command("list")
def list_command(
    to: Annotated[str | None, typer.Option(help="Only what is kept for this recipient.")] = None,
    why: Annotated[str | None, typer.Option(help="Only what this kept: limits, rule:NAME, plugin:NAME or failed:NAME.")] = None,
    since: SinceOption = None,
    user: AsOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Print so many at most.")] = 1000,
    after: Annotated[str | None, typer.Option(help="Go on after this id, the last of the page before.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what is kept, the newest first. With each stands the reason, and when it expires.

    With --as it is what this user has in quarantine, and whether the user may release it (`quarantine: users_release` in
    mailward.yaml).

    Examples:

      mailward quarantine list

      mailward quarantine list --to bob@example.org --since 7d

      mailward quarantine list --why rule:odd --limit 100 --json

      mailward quarantine list --as bob@example.org
    """
    earliest = None if since is None else datetime.now(UTC) - duration_of(since)
    if why is not None and not is_cause(why):
        fail(f"'{why}' says nothing that mail is kept by; write limits, rule:NAME, plugin:NAME or failed:NAME", USAGE)
    settings = config_of(config)
    whose = None if user is None else account_of(settings, user)
    with opened_quarantine(settings) as quarantine:
        if after is not None and not quarantine.knows(after):
            fail(f"nothing is or was in quarantine as {after}; begin without --after", NO_INPUT)
        account = None if whose is None else whose.id
        found = quarantine.list(recipient=to, account=account, cause=why, since=earliest, after=after, limit=limit + 1)
    page = found[:limit]
    heading = ("ID", "RECEIVED", "EXPIRES", "RECIPIENT", "FROM", "" if whose is None else "RELEASED BY", "WHY AND SUBJECT")
    rows = [
        (
            held.delivery_key,
            moment(held.held_at),
            f"{expires_at(held, settings.quarantine.kept_s).astimezone():%Y-%m-%d}",
            held.recipient,
            f"<{one_line(held.reverse_path)}>",
            _mark(settings, held, whose),
            f"{one_line(held.reason)}: {one_line(held.subject, 80)}",
        )
        for held in page
    ]
    data = [_data(held) | _terms(settings, held, whose) for held in page]
    is_asked = any(one is not None for one in (to, since, why, user, after))
    nothing = "nothing like that is in quarantine" if is_asked else "nothing is in quarantine"
    show(table([heading, *rows]) if page else nothing, data, as_json=as_json)
    if len(found) > limit:
        warn(f"there are more than these {limit}; --after {page[-1].delivery_key} goes on")


def _mark(settings: Config, held: Held, whose: Account | None) -> str:
    if whose is not None:
        return "admin" if settings.quarantine.users_release.why_not(held, whose.id) else "user"
    return "INFECTED" if held.infected else ""


def _terms(settings: Config, held: Held, whose: Account | None) -> dict[str, object]:
    """What the configuration says about an entry."""
    terms: dict[str, object] = {"expires_at": utc_text(expires_at(held, settings.quarantine.kept_s))}
    if whose is not None:
        terms["why_not_released_by_user"] = settings.quarantine.users_release.why_not(held, whose.id) or None
    return terms


@app.command("show")
def show_command(ids: Ids, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print all about one kept message. It shows envelope, reason, decision, header and the first lines of the text, as plain
    text; attachments by name only.

    That it was read is noted, and `mailward explain` says so.

    Example: mailward quarantine show 01k9w3c5v7q2x8ab
    """
    settings = config_of(config)
    with opened_quarantine(settings) as quarantine:
        copies = [(held, MessageView(quarantine.read(held.delivery_key))) for held in _named(quarantine, ids)]
    with opened_decisions(settings) as decisions:
        records = [decisions.get(held.id) for held, _ in copies]
        for held, _ in copies:
            decisions.add_event(held.id, LaterEvent(utc_text(datetime.now(UTC)), held.recipient, "read in quarantine by admin"))
    seen = [(held, message, record) for (held, message), record in zip(copies, records, strict=True)]
    data = [
        _data(held) | _terms(settings, held, None) | content(message) | judged(held, record) for held, message, record in seen
    ]
    kept_s = settings.quarantine.kept_s
    show(lambda: "\n\n".join(entry_text(*one, expires_at(one[0], kept_s)) for one in seen), data, as_json=as_json)


@app.command("release")
def release_command(
    ids: Ids,
    to: Annotated[str | None, typer.Option(help="Into this mailbox instead of the recipient's.")] = None,
    even_infected: Annotated[bool, typer.Option("--even-infected", help="Release malware, too.")] = False,
    user: AsOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deliver kept mail to where it was addressed, once. Plugins that learn are taught that it is ham.

    A message for a mailbox here goes into its INBOX, one for another server into the queue. Malware is released by
    --even-infected only, and nothing is learnt from it. With --as only what this user may release is, into the user's own
    mailbox.

    Examples:

      mailward quarantine release 01k9w3c5v7q2x8ab

      mailward quarantine release 01k9w3c5v7q2x8ab:1 --to postmaster@example.org

      mailward quarantine release 01k9w3c5v7q2x8ab --as bob@example.org
    """
    if user is not None and (to is not None or even_infected):
        fail("--as excludes --to and --even-infected: users release into their own mailboxes, and never malware", USAGE)
    address = None if to is None else parsed_address(to)
    settings = config_of(config)
    whose = None if user is None else account_of(settings, user)

    def let_go(release: Release, held: Held) -> Awaitable[Released]:
        if whose is not None:
            return release.release_as(whose, held, settings.quarantine.users_release)
        return release.release(held, to=address, even_infected=even_infected)

    with opened_quarantine(settings) as quarantine:
        copies = _named(quarantine, ids, whose)
        asyncio.run(_release(settings, quarantine, copies, let_go, as_json=as_json))


async def _release(
    config: Config,
    quarantine: Quarantine,
    copies: Sequence[Held],
    let_go: Callable[[Release, Held], Awaitable[Released]],
    *,
    as_json: bool,
) -> None:
    outcomes: list[tuple[Held, bool, str]] = []
    code = 0
    teacher = Teacher(config)
    try:
        async with opened_release(config, quarantine) as release:
            for held in copies:
                try:
                    released = await let_go(release, held)
                except Infected as error:
                    outcomes.append((held, False, f"{error}; --even-infected releases it all the same"))
                    code = code or USAGE
                except NoMailbox as error:
                    outcomes.append((held, False, f"{error}; --to ADDRESS names another mailbox"))
                    code = code or NO_INPUT
                except NotReleased as error:
                    outcomes.append((held, False, str(error)))
                    code = code or USAGE
                else:
                    outcomes.append((held, True, released.outcome))
                    await teacher.released(held, released)
    finally:
        await teacher.close()
    lines = [f"{held.delivery_key}  {outcome if done else f'kept: {outcome}'}" for held, done, outcome in outcomes]
    if teacher.problem:
        lines.append(f"nothing was learnt: {teacher.problem}")
    data = [
        {"id": held.delivery_key, "recipient": held.recipient, "released": done, "outcome": outcome}
        for held, done, outcome in outcomes
    ]
    show("\n".join(lines), data, as_json=as_json)
    if code:
        raise typer.Exit(code)


@app.command("digest")
def digest_command(
    to: Annotated[str, typer.Option(help="An address of the account.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print it; the server sends it when its hour comes.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print the next digest of an account, as it would be now. It tells what was kept for its user since the last one.

    The server sends digests once a day, where `quarantine: {digest: daily}` in mailward.yaml wants them.

    Example: mailward quarantine digest --to bob@example.org --dry-run
    """
    if not dry_run:
        fail("the server sends digests at their hour, each once; --dry-run prints what the next one says", USAGE)
    settings = config_of(config)
    account = account_of(settings, to)
    with opened_quarantine(settings) as quarantine:
        portion = quarantine.digests.next(account.id)
        news = quarantine.digests.news(portion, MOST_LISTED)
    written = digest_writer(settings).write(account, portion, news, datetime.now(UTC))
    is_empty = not news.total and not news.infected
    show(f"nothing new is kept for {account.address}" if is_empty else _as_read(written), None, as_json=False)


def _as_read(octets: bytes) -> str:
    message = MessageView(octets)
    return "\n".join([*field_lines(message), "", *text_lines(message)])


@app.command("drop")
def drop_command(
    ids: Ids,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete kept mail for good; nothing brings it back.

    Example: mailward quarantine drop 01k9w3c5v7q2x8ab --yes
    """
    settings = config_of(config)
    with opened_quarantine(settings) as quarantine:
        copies = _named(quarantine, ids)
        confirm(f"Delete {', '.join(held.delivery_key for held in copies)} for good?", yes=yes)
        asyncio.run(_drop(settings, quarantine, copies))
    data = [{"id": held.delivery_key, "recipient": held.recipient, "dropped": True} for held in copies]
    show("\n".join(f"{held.delivery_key}  dropped" for held in copies), data, as_json=as_json)


async def _drop(config: Config, quarantine: Quarantine, copies: Sequence[Held]) -> None:
    async with opened_release(config, quarantine) as release:
        release.drop(copies)


def _named(quarantine: Quarantine, ids: Sequence[str], whose: Account | None = None) -> list[Held]:
    """The copies that ids name, each once; ends the command when one of them names none, or several.

    whose: of this account alone; of all others nothing is told.
    """
    found: dict[str, Held] = {}
    for text in ids:
        queue_id, colon, index = text.partition(":")
        if colon and not index.isdecimal():
            fail(f"'{text}' is no id; a copy is ID or ID:N", USAGE)
        copies = quarantine.find(QueueId(queue_id), int(index) if colon else None)
        copies = tuple(held for held in copies if whose is None or held.account == whose.id)
        if not copies:
            fail(f"nothing is in quarantine as {text}; mailward quarantine list shows what is", NO_INPUT)
        if len(copies) > 1:
            choices = ", ".join(f"{held.delivery_key} for {held.recipient}" for held in copies)
            fail(f"{text} is kept for several recipients; say which: {choices}", USAGE)
        found[copies[0].delivery_key] = copies[0]
    return list(found.values())


def _data(held: Held) -> dict[str, object]:
    values = asdict(held)
    values["id"] = values.pop("delivery_key")
    del values["index"]
    return values
