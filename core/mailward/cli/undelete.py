"""`mailward undelete`: mail that was deleted by mistake comes back."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from mailward.app.accounts import opened_store
from mailward.app.undelete import put_back, without_copies
from mailward.cli.changes import number_of
from mailward.cli.noting import note_change
from mailward.cli.options import (
    AddressArgument,
    ConfigOption,
    JsonOption,
    YesOption,
    account_of,
    config_of,
    duration_of,
    whoever,
)
from mailward.cli.output import SOFTWARE, confirm, fail, moment, show, table, warn
from mailward.delivery.mda import shown_author
from mailward.formats.message import MessageView
from mailward.formats.text import one_line
from mailward.model.decision import utc_text
from mailward.store.base import AccountStore, Expunged
from mailward.store.names import normalise_name
from mailward.store.refusals import StoreRefusal

LISTED = 100


def undelete_command(
    address: AddressArgument,
    mailbox: Annotated[str | None, typer.Option(help="Only what was deleted from this mailbox.")] = None,
    since: Annotated[str | None, typer.Option(help="Only what was deleted in the last 30m, 2h, 7d ...")] = None,
    into: Annotated[str | None, typer.Option(help="Put all of it into this mailbox; it is made when it is missing.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come back, and change nothing.")] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put mail that was deleted for good back into its mailboxes.

    Whatever deleted it: a mail program, POP3, or its mailbox that was deleted. It is kept for a week, or as long as
    `expunged: {keep: ...}` in mailward.yaml says. It comes back with its flags and dates, as new mail of the mailbox in
    which it lay last; a mailbox that was deleted is made again, shared with nobody. Mail programs see it at once. What was
    moved, or still has a copy, is not deleted; what `mailward retro` took away does not come back this way.

    Examples:

      mailward undelete alice@example.org --since 2h --dry-run

      mailward undelete alice@example.org --mailbox Archive/2025 --since 2h
    """
    by, settings = whoever(), config_of(config)
    account = account_of(settings, address)
    begin_s = 0.0 if since is None else (datetime.now(UTC) - duration_of(since)).timestamp()
    with opened_store(settings) as every:
        store = every.open(account.id)
        try:
            name = None if mailbox is None else normalise_name(mailbox)
            kept = store.expunged()
            gone = [one for one in kept if one.expunged_at >= begin_s and name in (None, one.mailbox_name)]
            left = without_copies(store, gone)
            target = None if into is None else normalise_name(into)
            _warn_of_shared(store, {target or one.mailbox_name for one in left})
            if dry_run or not left:
                show(
                    lambda: _listed(store, left) or _nothing(store, kept, len(gone), name),
                    lambda: [_data(store, one) for one in left],
                    as_json=as_json,
                )
                return
            confirm(f"Put {number_of('message', len(left))} back?", yes=yes)
            done = put_back(store, left, target)
        except StoreRefusal as refusal:
            fail(f"nothing was put back: {refusal}", SOFTWARE)
    for name, count in done.items():
        note_change(settings, "messages put back", account, by, mailbox=name, messages=count)
    text = "\n".join(f"{number_of('message', count)} put back into {one_line(name)}" for name, count in done.items())
    show(text, {"address": str(account.address), "put_back": done}, as_json=as_json)


def _warn_of_shared(store: AccountStore, names: Collection[str]) -> None:
    """They may not have been when the mail lay there."""
    grants = store.grants()
    for info in store.mailboxes():
        if info.name in names and info.id in grants:
            warn(f"{one_line(info.name)} is shared: others will see what is put back there; `--into` takes another mailbox")


def _nothing(store: AccountStore, kept: Sequence[Expunged], gone: int, name: str | None) -> str:
    """Why that is. kept: all that was deleted. gone: how many of them were meant. name: the mailbox that was named."""
    if gone:
        return f"nothing can be put back: {number_of('message', gone)} deleted, of which a mailbox still has a copy"
    if name is not None and name not in {*(info.name for info in store.mailboxes()), *(one.mailbox_name for one in kept)}:
        return f"nothing can be put back: there is no mailbox {one_line(name)}, nor is deleted mail of such a one kept"
    return "nothing can be put back: what was moved, or still has a copy in a mailbox, is not deleted"


def _listed(store: AccountStore, left: Sequence[Expunged]) -> str:
    """ "" for nothing."""
    if not left:
        return ""
    rows = [("DELETED", "MAILBOX", "FROM", "SUBJECT")]
    for one in left[: -LISTED - 1 : -1]:
        view = _header(store, one)
        rows.append((moment(_at(one)), one_line(one.mailbox_name), one_line(shown_author(view)), one_line(view.subject)))
    rest = len(left) - LISTED
    return table(rows) + (f"\nand {number_of('message', rest)} deleted earlier" if rest > 0 else "")


def _data(store: AccountStore, one: Expunged) -> dict[str, object]:
    view = _header(store, one)
    return {
        "deleted_at": utc_text(_at(one)),
        "mailbox": one.mailbox_name,
        "from": shown_author(view),
        "subject": view.subject,
        "flags": one.flags,
    }


def _header(store: AccountStore, one: Expunged) -> MessageView:
    ((headers,),) = store.meta([one.message], ["headers"])
    return MessageView(headers if isinstance(headers, bytes) else b"")


def _at(one: Expunged) -> datetime:
    return datetime.fromtimestamp(one.expunged_at, UTC)
