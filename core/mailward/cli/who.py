"""`mailward who` and `mailward kick`: who reads mail now, and an end to that."""

from dataclasses import asdict
from typing import Annotated

import typer

from mailward.cli.options import AddressArgument, ConfigOption, JsonOption, account_of, config_of
from mailward.cli.output import SOFTWARE, fail, moment, show, table, warn
from mailward.net import sessions
from mailward.net.local import PeerAway


def who_command(
    address: Annotated[str | None, typer.Argument(help="Only sessions of this account, for example alice@example.org.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print who is logged in, from where and since when.

    By IMAP, POP3 and ManageSieve; those who send mail are in the server's log, as all of these are.

    Examples:

      mailward who

      mailward who alice@example.org --json
    """
    settings = config_of(config, quiet=True)
    account = None if address is None else account_of(settings, address).id
    try:
        found, left_out = sessions.who(settings.access_socket, account)
    except PeerAway as error:
        fail(f"no server answers: {error}; start it: mailward serve -c {settings.path}", SOFTWARE)
    if left_out:
        warn(f"{left_out} sessions more are not shown; name an account")
    rows = [(one.user, one.protocol, one.peer, one.tls or "in clear", moment(one.since)) for one in found]
    show(
        lambda: table([("USER", "PROTOCOL", "PEER", "TLS", "SINCE"), *rows]) if rows else "nobody is logged in",
        [asdict(one) for one in found],
        as_json=as_json,
    )


def kick_command(address: AddressArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """End an account's IMAP, POP3 and ManageSieve sessions. What a command under way does is finished first.

    Mail programs come back at once: mailward account disable keeps them out, a new password those that know the old one.

    Example: mailward kick alice@example.org
    """
    settings = config_of(config, quiet=True)
    account = account_of(settings, address)
    try:
        ended = sessions.end(settings.access_socket, account.id)
    except PeerAway as error:
        fail(f"no server answers: {error}; start it: mailward serve -c {settings.path}", SOFTWARE)
    text = f"{ended} session{'s' if ended != 1 else ''} of {account.address} ended"
    show(text, {"address": str(account.address), "ended": ended}, as_json=as_json)
