"""`mailward account quota` and `mailward domain quota`: how much mail may lie here, and how much does."""

import re
from contextlib import closing
from typing import Annotated

import typer

from mailward.app.accounts import store_of
from mailward.app.config import Config
from mailward.cli.domain_records import served
from mailward.cli.noting import note_change
from mailward.cli.options import AddressArgument, ConfigOption, JsonOption, account_of, config_of, opened_directory, whoever
from mailward.cli.output import USAGE, fail, show
from mailward.directory import NO_LIMIT, Directory
from mailward.model.ids import AccountId
from mailward.model.limits import MailLimits
from mailward.store.base import Quota
from mailward.store.changes import Hints

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"([1-9][0-9]{0,14})([KMGT]?)", re.IGNORECASE)

_WORDS = "`none` for no limit, `default` for what the domain says"
SizeOption = Annotated[str | None, typer.Option(help=f"At most so much mail, for example 500M or 2G; {_WORDS}.")]
MessagesOption = Annotated[str | None, typer.Option(help=f"At most so many messages; {_WORDS}.")]


def account_command(
    address: AddressArgument,
    size: SizeOption = None,
    messages: MessagesOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print how much an account holds and may hold, or set that. A running server heeds it at once.

    Who is at the limit can store nothing more, but gets mail until a tenth beyond it. What would go further is refused before it
    is sent (452 4.2.2), so that the sender's server tries again; what was taken by then waits in the queue, as does what users
    of this server send. `full_mailbox: return` in mailward.yaml sends it back at once.

    Examples:

      mailward account quota alice@example.org

      mailward account quota alice@example.org --size 2G --messages 100000
    """
    by, settings = whoever(), config_of(config)
    account = account_of(settings, address)
    with opened_directory(settings) as directory:
        if size is not None or messages is not None:
            own = directory.quotas().accounts.get(account.id, MailLimits())
            directory.set_quota("account", account.id, _changed(own, size, messages))
            note_change(settings, "quota set", account, by, size=size or "", messages=messages or "")
        quota = _quota_of(settings, account.id, directory)
    data = {"address": str(account.address), **quota_data(quota)}
    text = f"{account.address} holds {shown(quota)}"
    if size is not None or messages is not None:
        text += "\nmail that waits for room is tried again in its time, or at once: mailward queue retry --problem 'mailbox full'"
    show(text, data, as_json=as_json)


def _quota_of(settings: Config, account: AccountId, directory: Directory) -> Quota:
    if not (settings.data / "accounts" / account).exists():  # no mail yet, and asking is no reason to make any
        return Quota(0, 0, directory.limits_of(account))
    with (
        closing(Hints(settings.data / "hints")) as hints,
        closing(store_of(settings, directory, hints)) as store,
    ):
        return store.open(account).quota()


def domain_command(
    domain: Annotated[str, typer.Argument(help="One of the domains served here.")],
    size: SizeOption = None,
    messages: MessagesOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print how much an account of a domain may hold, or set that. What was set for an account counts before it.

    Examples:

      mailward domain quota example.org

      mailward domain quota example.org --size 5G
    """
    settings = config_of(config)
    name = served(settings, domain)
    with opened_directory(settings) as directory:
        limits = directory.quotas().domains.get(name, MailLimits())
        if size is not None or messages is not None:
            limits = _changed(limits, size, messages)
            limits = MailLimits(limits.octets or None, limits.messages or None)
            directory.set_quota("domain", name, limits)
    said = [f"{limits.octets} octets" if limits.octets else "", f"{limits.messages} messages" if limits.messages else ""]
    text = f"each account of {name} may hold {' and '.join(filter(None, said)) or 'as much as there is room for'}"
    show(text, {"domain": name, "most_octets": limits.octets, "most_messages": limits.messages}, as_json=as_json)


def quota_data(quota: Quota) -> dict[str, int | None]:
    """For `--json`."""
    limits = quota.limits
    return {
        "octets": quota.octets,
        "messages": quota.messages,
        "most_octets": limits.octets,
        "most_messages": limits.messages,
    }


def shown(quota: Quota) -> str:
    """How much there is, and may be."""
    limits = quota.limits
    return (
        f"{quota.octets} of {limits.octets or 'any number of'} octets and "
        f"{quota.messages} of {limits.messages or 'any number of'} messages"
    )


def _changed(limits: MailLimits, size: str | None, messages: str | None) -> MailLimits:
    return MailLimits(
        limits.octets if size is None else _number(size, "--size", "500M"),
        limits.messages if messages is None else _number(messages, "--messages", "100000"),
    )


def _number(text: str, option: str, example: str) -> int | None:
    if text in ("none", "default"):
        return NO_LIMIT if text == "none" else None
    found = _SIZE.fullmatch(text)
    if found is None or (found[2] and option == "--messages"):
        fail(f"{option} wants a number such as {example}, none or default; this is {text!r}", USAGE)
    return int(found[1]) * _UNITS[found[2].upper()]
