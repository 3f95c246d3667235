"""Who did what to mail, for the log and in the words in which an admin searches it (docs/how-to/read-the-log.md)."""

from collections.abc import MutableMapping

from structlog.typing import FilteringBoundLogger

from mailward.model.identity import Identity


def doer(identity: Identity, peer_ip: str) -> dict[str, str]:
    """The values of a line about what somebody who is logged in has done."""
    return {"account": identity.account, "user": identity.user, "peer": peer_ip}


def note_expunged(
    log: FilteringBoundLogger, who: dict[str, str], tallies: MutableMapping[str, int], mailbox: str, messages: int, **more: str
) -> None:
    """So many messages went from a mailbox, which is called as who did it calls it. tallies: of the session."""
    tallies["expunged"] += messages
    if messages:
        log.info("messages expunged", **who, mailbox=mailbox, messages=messages, **more)
