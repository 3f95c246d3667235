"""What an admin does to an account by a command stands in the server's log, beside what its user does."""

from contextlib import suppress

from mailward.app.config import Config
from mailward.directory import Account
from mailward.net.local import PeerAway, Refusal
from mailward.net.sessions import note


def note_change(config: Config, event: str, account: Account, by: str, **values: str | int) -> None:
    """One line, of a change that was made. by: as `options.whoever` says.

    Where no server runs there is no log to write into; the change counts all the same.
    """
    with suppress(PeerAway, Refusal):
        note(config.access_socket, event, {"account": account.id, "user": str(account.address), "by": by, **values})
