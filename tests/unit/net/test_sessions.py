"""Who is logged in, asked over the local socket: all that is known of each session, and never more than one line can hold."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import cast

import pytest

from mailward.model.ids import AccountId
from mailward.net import sessions
from mailward.net.local import Refusal
from mailward.net.stream import LoggedIn, StreamListener


class _Listener:
    """As many sessions as these, of which it ends any."""

    def __init__(self, logged_in: Sequence[LoggedIn]) -> None:
        self.logged_in = logged_in
        self.ended: list[AccountId] = []

    def end_sessions_of_account(self, account: AccountId) -> int:
        self.ended.append(account)
        return len([one for one in self.logged_in if one.account == account])


def _session(number: int, account: str) -> LoggedIn:
    """As long as one may be: the longest address there is (RFC 5321 section 4.5.3.1), and an IPv6 address."""
    user = f"{'l' * 64}@{'d' * 250}.test"
    peer = f"2001:db8:1111:2222:3333:4444:5555:{number:04x}"
    return LoggedIn(user, account, "managesieve", peer, "TLSv1.3", "2026-11-29T12:00:00.000000Z")


async def _asked(path: Path, listeners: Collection[_Listener], account: AccountId | None) -> tuple[Sequence[LoggedIn], int]:
    server = sessions.session_server(path, cast(Sequence[StreamListener], listeners))
    await server.start()
    try:
        return await asyncio.to_thread(sessions.who, path, account)
    finally:
        await server.close()


async def test_t_dos_06_more_sessions_than_are_told_are_counted(tmp_path: Path) -> None:
    many = [_session(number, "a" * 16) for number in range(sessions.MOST_TOLD)]
    few = [_session(number, "b" * 16) for number in range(7)]
    listeners = [_Listener(many), _Listener(few)]
    assert await _asked(tmp_path / "s", listeners, None) == (many, 7)
    assert await _asked(tmp_path / "s", listeners, AccountId("b" * 16)) == (few, 0)
    assert await _asked(tmp_path / "s", listeners, AccountId("c" * 16)) == ([], 0)


async def test_sessions_are_ended_of_one_account_and_never_of_all(tmp_path: Path) -> None:
    listeners = [_Listener([_session(1, "a" * 16), _session(2, "b" * 16)]), _Listener([_session(3, "a" * 16)])]
    server = sessions.session_server(tmp_path / "s", cast(Sequence[StreamListener], listeners))
    await server.start()
    assert await asyncio.to_thread(sessions.end, tmp_path / "s", AccountId("a" * 16)) == 2
    with pytest.raises(Refusal, match="one account at a time"):
        await asyncio.to_thread(sessions.end, tmp_path / "s", AccountId(""))
    assert [one.ended for one in listeners] == [["a" * 16]] * 2
    await server.close()
