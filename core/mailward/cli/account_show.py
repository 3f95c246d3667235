"""`mailward account show`: all that an admin is asked about one account."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailward.access.imap.identifiers import Identifiers
from mailward.access.imap.reach import Reach
from mailward.app.accounts import opened_store
from mailward.app.config import Config
from mailward.cli.account_plugins import Status, statuses
from mailward.cli.app_password import data_of
from mailward.cli.options import (
    AddressArgument,
    ConfigOption,
    JsonOption,
    account_of,
    config_of,
    opened_credentials,
    opened_directory,
)
from mailward.cli.output import moment, show, table
from mailward.cli.quota import quota_data, shown
from mailward.cli.share import grants_of
from mailward.directory import Account, AppPassword, Directory
from mailward.model.address import Address
from mailward.store.base import MailboxInfo, Quota, Script
from mailward.store.ops import RIGHTS


@dataclass(frozen=True, slots=True)
class _Whole:
    """given: mailbox, with whom, rights. had: the mailbox as it is reached from here, rights."""

    account: Account
    is_disabled: bool
    further: Sequence[Address]
    aliases: Sequence[str]
    groups: Sequence[str]
    quota: Quota
    mailboxes: Sequence[MailboxInfo]
    scripts: Sequence[Script]
    given: Sequence[tuple[str, str, str]]
    had: Sequence[tuple[str, str]]
    app_passwords: Sequence[AppPassword]
    capabilities_off: Sequence[str]
    statuses: Sequence[Status]


def show_command(address: AddressArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print all about one account. It shows mail and quota, passwords, shares, scripts, and what leads to it.

    Of logins, app passwords alone know when they were last used; the others are in the server's log.

    Example: mailward account show alice@example.org
    """
    settings = config_of(config)
    found = _whole(settings, account_of(settings, address))
    show(lambda: table(_rows(found)), lambda: _data(found), as_json=as_json)


def _whole(settings: Config, account: Account) -> _Whole:
    with opened_directory(settings) as directory, opened_store(settings) as stores, opened_credentials(settings) as credentials:
        identifiers = Identifiers(directory, anyone=settings.share_with_anyone == "on")
        reach = Reach(stores, account.id, identifiers)
        return _Whole(
            account=account,
            is_disabled=account.id in directory.disabled(),
            further=directory.addresses_of(account.id)[1:],
            aliases=_leading_to(directory, account),
            groups=directory.groups_of([account.id]),
            quota=reach.own.quota(),
            mailboxes=reach.own.mailboxes(),
            scripts=reach.own.scripts(),
            given=grants_of(reach.own, directory),
            had=[
                (one.info.name, "".join(letter for letter in RIGHTS if letter in one.rights))
                for one in reach.all()
                if not one.is_own
            ],
            app_passwords=credentials.of(account.id).app_passwords,
            capabilities_off=sorted(directory.capabilities_off(account.id)),
            statuses=statuses(settings, account),
        )


def _leading_to(directory: Directory, account: Account) -> list[str]:
    """The aliases, catch-alls among them, by which mail can come to the account in the end."""

    def ends(target: Address) -> Address:
        return target if target.local_part else Address(account.address.local_part, target.domain)

    return [
        alias.name
        for alias in directory.aliases()
        if any(account.id in directory.accounts_behind(ends(target)) for target in alias.targets)
    ]


def _rows(found: _Whole) -> list[tuple[str, str]]:
    messages, unseen = sum(one.exists for one in found.mailboxes), sum(one.unseen for one in found.mailboxes)
    return [
        ("account", f"{found.account.address}, id {found.account.id}"),
        ("logins", "disabled: mailward account enable lets its user in again" if found.is_disabled else "enabled"),
        *_several("further address", map(str, found.further)),
        *_several("alias", found.aliases),
        *_several("group", found.groups),
        ("holds", shown(found.quota)),
        ("mailboxes", f"{len(found.mailboxes)} with {messages} message{'s' if messages != 1 else ''}, unseen: {unseen}"),
        *_several("Sieve script", (f"{one.name}{', active' if one.is_active else ''}" for one in found.scripts)),
        *_several("shares", (f"{mailbox} with {whom} ({rights})" for mailbox, whom, rights in found.given)),
        *_several("shared with it", (f"{mailbox} ({rights})" for mailbox, rights in found.had)),
        *_several("app password", map(_app_password, found.app_passwords)),
        ("not offered", ", ".join(found.capabilities_off) or "none: IMAP offers it everything"),
        *((status.plugin, line) for status in found.statuses for line in status.text.splitlines()),
    ]


def _several(head: str, values: Iterable[str]) -> list[tuple[str, str]]:
    """One line each, or one that says there is none."""
    return [(head, value) for value in values] or [(head, "none")]


def _app_password(one: AppPassword) -> str:
    used = "never used" if one.last_used_at is None else f"last used {moment(one.last_used_at)}"
    is_over = one.expires_at is not None and one.expires_at <= datetime.now(UTC)
    return f"{one.name} for {', '.join(one.scopes)}, {used}{', expired' if is_over else ''}"


def _data(found: _Whole) -> dict[str, object]:
    return {
        "address": str(found.account.address),
        "id": found.account.id,
        "disabled": found.is_disabled,
        "further_addresses": [*map(str, found.further)],
        "aliases": found.aliases,
        "groups": found.groups,
        "quota": quota_data(found.quota),
        "mailboxes": len(found.mailboxes),
        "messages": sum(one.exists for one in found.mailboxes),
        "unseen": sum(one.unseen for one in found.mailboxes),
        "scripts": [{"name": one.name, "active": one.is_active} for one in found.scripts],
        "shares": [{"mailbox": mailbox, "with": whom, "rights": rights} for mailbox, whom, rights in found.given],
        "shared_with_it": [{"mailbox": mailbox, "rights": rights} for mailbox, rights in found.had],
        "app_passwords": [data_of(one) for one in found.app_passwords],
        "capabilities_off": found.capabilities_off,
        "plugins": {one.plugin: one.data for one in found.statuses},
    }
