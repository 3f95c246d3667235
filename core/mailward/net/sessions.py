"""Who is logged in now, how an admin ends that, and what he did by commands: both sides of a few calls over a local socket.

who     {"account": "" for all}    ->  {"sessions": [`stream.LoggedIn`, ...], "left_out"}
end     {"account"}                ->  {"ended"}
note    {"event", "values"}        ->  {}
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import structlog

from mailward.model.ids import AccountId
from mailward.net.local import LocalServer, Refusal, Values, call_once
from mailward.net.stream import LoggedIn, StreamListener

MOST_TOLD = 2000
"""Sessions of one answer, which is one line of `net.local`."""

log = structlog.get_logger("mailward.admin")


def session_server(path: Path, listeners: Sequence[StreamListener]) -> LocalServer:
    """Answers for these listeners, for whichever there are at that moment."""

    async def tell(values: Values) -> Values:
        account = str(values["account"])
        found = [one for listener in listeners for one in listener.logged_in if account in ("", one.account)]
        told = [asdict(one) for one in found[:MOST_TOLD]]
        return {"sessions": told, "left_out": len(found) - len(told)}

    async def end_all(values: Values) -> Values:
        account = AccountId(str(values["account"]))
        if not account:
            raise Refusal("sessions are ended one account at a time")
        return {"ended": sum(listener.end_sessions_of_account(account) for listener in listeners)}

    async def write(values: Values) -> Values:
        event = str(values["event"])
        log.info(event, **cast(dict[str, Any], values["values"]))
        return {}

    return LocalServer(path, {"who": tell, "end": end_all, "note": write})


def who(path: Path, account: AccountId | None) -> tuple[Sequence[LoggedIn], int]:
    """The sessions of an account, None for all, and how many more there are. Blocking. Raises PeerAway and Refusal."""
    answer = cast(dict[str, Any], call_once(path, "who", {"account": account or ""}))
    return [LoggedIn(**one) for one in answer["sessions"]], int(answer["left_out"])


def end(path: Path, account: AccountId) -> int:
    """End an account's sessions; how many there were. Blocking. Raises PeerAway and Refusal."""
    return int(cast(int, call_once(path, "end", {"account": account})["ended"]))


def note(path: Path, event: str, values: Values) -> None:
    """Write a line into the server's log. Blocking. Raises PeerAway and Refusal."""
    call_once(path, "note", {"event": event, "values": values})
