"""Who is logged in now, how an admin ends that, and what he did by commands: both sides of a few calls over a local socket.

who     {"account": "" for all}    ->  {"sessions": [[account, user, protocol, peer, tls, began_at], ...], "left_out"}
end     {"account"}                ->  {"ended"}
note    {"event", "values"}        ->  {}
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import structlog

from mailward.model.decision import utc_text
from mailward.model.ids import AccountId
from mailward.net.local import LocalServer, Refusal, Values, call_once
from mailward.net.stream import StreamListener

MOST_TOLD = 2000
"""Sessions of one answer, which is one line of `net.local`."""

log = structlog.get_logger("mailward.admin")


@dataclass(frozen=True, slots=True)
class Told:
    """A session, as a command shows it. tls: the version, "" in clear. began_at: ISO 8601 in UTC."""

    account: str
    user: str
    protocol: str
    peer: str
    tls: str
    began_at: str


def session_server(path: Path, listeners: Sequence[StreamListener]) -> LocalServer:
    """Answers for these listeners, for whichever there are at that moment."""

    async def who(values: Values) -> Values:
        account = str(values["account"])
        found = [one for listener in listeners for one in listener.logged_in if account in ("", one.account)]
        rows = [
            [one.account, one.user, one.protocol, one.peer_ip, "" if one.tls is None else one.tls.version, utc_text(one.began_at)]
            for one in found[:MOST_TOLD]
        ]
        return {"sessions": rows, "left_out": len(found) - len(rows)}

    async def end(values: Values) -> Values:
        account = AccountId(str(values["account"]))
        if not account:
            raise Refusal("sessions are ended one account at a time")
        return {"ended": sum(listener.end_sessions_of_account(account) for listener in listeners)}

    async def note(values: Values) -> Values:
        event = str(values["event"])
        log.info(event, **cast(dict[str, Any], values["values"]))
        return {}

    return LocalServer(path, {"who": who, "end": end, "note": note})


def who(path: Path, account: AccountId | None) -> tuple[Sequence[Told], int]:
    """The sessions of an account, None for all, and how many more there are. Blocking. Raises PeerAway and Refusal."""
    answer = cast(dict[str, Any], call_once(path, "who", {"account": account or ""}))
    return [Told(*map(str, row)) for row in answer["sessions"]], int(answer["left_out"])


def end(path: Path, account: AccountId) -> int:
    """End an account's sessions; how many there were. Blocking. Raises PeerAway and Refusal."""
    return int(cast(int, call_once(path, "end", {"account": account})["ended"]))


def note(path: Path, event: str, values: Values) -> None:
    """Write a line into the server's log. Blocking. Raises PeerAway and Refusal."""
    call_once(path, "note", {"event": event, "values": values})
