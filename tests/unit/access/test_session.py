"""What the sessions of POP3 and ManageSieve have in common: others have their turns, and replies do not pile up."""

import asyncio
from pathlib import Path

import pytest

from support import managesieve, pop3

ANSWERED_BY_THE_MACHINE = {"pop3": b"NOOP\r\n" * 1000 + b"QUIT\r\n", "managesieve": b"NOOP\r\n" * 1000 + b"LOGOUT\r\n"}
LONG = {
    "pop3": b"STAT\r\n" * 8000 + b"CAPA\r\n" * 2000 + b"QUIT\r\n",
    "managesieve": b'PUTSCRIPT "main" {10000+}\r\n%s\r\n' % (b"#" * 10_000)
    + b'GETSCRIPT "main"\r\n' * 20
    + b"CAPABILITY\r\n" * 1000
    + b"LOGOUT\r\n",
}
"""Commands with replies of some 200 KB at least: of the session first, of the machine then."""


@pytest.fixture(params=["pop3", "managesieve"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> pop3.Client | managesieve.Client:
    if request.param == "pop3":
        return await pop3.Client(pop3.Office(tmp_path)).login()
    return await managesieve.Client(managesieve.Office(tmp_path)).login()


async def test_t_dos_08_commands_that_the_machine_answers_leave_turns_to_others(client: pop3.Client | managesieve.Client) -> None:
    client.wire.feed(ANSWERED_BY_THE_MACHINE[client.session.protocol])
    turns = 0
    while not client.task.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 1000


async def test_a_fault_of_the_client_is_told_in_plain_words(client: pop3.Client | managesieve.Client) -> None:
    client.wire.feed(b"NONSENSE\r\n" * 100)
    await client.task
    assert client.session.ended_by == "too many bad commands"


async def test_t_dos_06_replies_to_the_commands_of_one_packet_do_not_pile_up(
    client: pop3.Client | managesieve.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    send = client.wire.send

    async def measured(piece: bytes) -> None:
        sizes.append(len(piece))
        await send(piece)

    monkeypatch.setattr(client.wire, "send", measured)
    client.wire.feed(LONG[client.session.protocol])
    await client.task
    assert max(sizes) < 50_000 and sum(sizes) > 200_000
