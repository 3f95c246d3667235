"""Logins asked of another process: the same exchanges as in it, and what happens when it is away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import scramp

from mailward.auth.authenticator import ChainAuthenticator
from mailward.auth.chain import LoginChain
from mailward.auth.exchange import Accepted, Challenge, Exchange, LoginPeer, Refused, plain_response
from mailward.auth.failures import FailureLimits
from mailward.model.errors import LoginUnavailable
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.model.session import TlsFacts
from mailward.net.authd import AuthServer, OpenExchanges, RemoteAuthenticator, unlock
from mailward.net.local import PeerAway
from support.plain_book import DirectHooks, PlainBook

PEER = LoginPeer("imap", "imaps", "192.0.2.1", TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
ALICE = Identity(AccountId("a1"), "alice@example.org", credential="right")


class Process:
    """The one that checks logins."""

    def __init__(self, path: Path, free: int = 1000) -> None:
        self.path = path
        self.slept: list[float] = []
        self.book = book = PlainBook(lambda name: (AccountId("a1"), "right") if name == "alice@example.org" else None)
        self.hooks = DirectHooks(book)
        self.chain = LoginChain(lambda: self.hooks, self.hooks.told, book, limits=FailureLimits(free=free), sleep=self._sleep)
        self.authenticator = ChainAuthenticator(self.chain, book)
        self.server = AuthServer(path, self.authenticator, self.chain)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "auth.sock"


@pytest.fixture
async def process(path: Path) -> AsyncIterator[Process]:
    made = Process(path)
    await made.server.start()
    yield made
    await made.server.close()


@pytest.fixture
async def remote(path: Path) -> AsyncIterator[RemoteAuthenticator]:
    made = RemoteAuthenticator(path, patience_s=0.0)
    yield made
    await made.close()


async def test_one_step(process: Process, remote: RemoteAuthenticator) -> None:
    assert await remote.begin(PEER, "PLAIN").step(plain_response(b"alice@example.org", b"right")) == Accepted(ALICE)
    assert await remote.begin(PEER, "PLAIN").step(plain_response(b"alice@example.org", b"wrong")) == Refused("failed")
    assert await remote.begin(PEER, "PLAIN").step(b"nonsense") == Refused("malformed")
    assert await remote.begin(PEER, "CRAM-MD5").step(None) == Refused("malformed")
    assert [outcome.result for outcome in process.hooks.outcomes] == ["accepted", "refused"]
    assert remote.mechanisms == process.authenticator.mechanisms


async def test_several_steps(process: Process, remote: RemoteAuthenticator) -> None:
    client = scramp.ScramClient(["SCRAM-SHA-256"], "alice@example.org", "right")
    exchange = remote.begin(PEER, "SCRAM-SHA-256")
    assert await exchange.step(None) == Challenge(b"")
    first = await exchange.step(client.get_client_first().encode())
    assert isinstance(first, Challenge)
    client.set_server_first(first.octets.decode())
    final = await exchange.step(client.get_client_final().encode())
    assert isinstance(final, Challenge)
    client.set_server_final(final.octets.decode())
    assert await exchange.step(b"") == Accepted(ALICE)


async def test_what_the_process_is_told_of_the_peer(process: Process, remote: RemoteAuthenticator) -> None:
    seen = []
    begin = process.authenticator.begin

    def watched(peer: LoginPeer, mechanism: str) -> Exchange:
        seen.append(peer)
        return begin(peer, mechanism)

    process.authenticator.begin = watched  # type: ignore[method-assign, assignment]
    clear = LoginPeer("smtp", "mx", "2001:db8::1", None)
    for peer in (PEER, clear):
        await remote.begin(peer, "PLAIN").step(None)
    assert seen == [PEER, clear]


async def test_away_is_unavailable_and_it_is_found_again(path: Path, remote: RemoteAuthenticator) -> None:
    response = plain_response(b"alice@example.org", b"right")
    assert await remote.begin(PEER, "PLAIN").step(response) == Refused("unavailable")
    first = Process(path)
    await first.server.start()
    exchange = remote.begin(PEER, "PLAIN")
    assert await exchange.step(None) == Challenge(b"")
    await first.server.close()
    assert await exchange.step(response) == Refused("unavailable")
    second = Process(path)
    await second.server.start()
    assert await remote.begin(PEER, "PLAIN").step(response) == Accepted(ALICE)
    await second.server.close()


async def test_a_first_step_that_the_process_dies_over_is_asked_again(path: Path) -> None:
    remote = RemoteAuthenticator(path, patience_s=20.0)
    first, second = Process(path), Process(path)
    asked = asyncio.Event()

    async def never(seconds: float) -> None:
        asked.set()
        await asyncio.Event().wait()

    first.chain._sleep = never
    await first.server.start()
    wrong = asyncio.ensure_future(remote.begin(PEER, "PLAIN").step(plain_response(b"alice@example.org", b"wrong")))
    await asked.wait()
    await first.server.close()
    await second.server.start()
    assert await wrong == Refused("failed")
    await remote.close()
    await second.server.close()


async def test_a_login_waits_for_a_process_that_is_starting(path: Path) -> None:
    remote = RemoteAuthenticator(path, patience_s=20.0)
    response = plain_response(b"alice@example.org", b"right")
    early = [asyncio.ensure_future(remote.begin(PEER, "PLAIN").step(response)) for _ in range(5)]
    await asyncio.sleep(0)
    process = Process(path)
    await process.server.start()
    assert await asyncio.gather(*early) == [Accepted(ALICE)] * 5
    await remote.close()
    await process.server.close()


async def test_an_exchange_of_a_process_that_was_restarted_is_over(path: Path, remote: RemoteAuthenticator) -> None:
    first, second = Process(path), Process(path)
    await first.server.start()
    exchange = remote.begin(PEER, "PLAIN")
    await exchange.step(None)
    await first.server.close()
    await second.server.start()
    assert await exchange.step(plain_response(b"alice@example.org", b"right")) == Refused("unavailable")
    await second.server.close()


async def test_open_exchanges_are_bounded_the_oldest_goes_first(process: Process) -> None:
    opened = OpenExchanges(limit=3)
    exchanges = [process.authenticator.begin(PEER, "PLAIN") for _ in range(4)]
    keys = [opened.keep(exchange) for exchange in exchanges]
    assert len(opened) == 3 and len(set(keys)) == 4
    assert opened.take(keys[0]) is None
    assert opened.take(keys[3]) is exchanges[3]
    assert opened.take(keys[3]) is None, "each response belongs to one step"


async def test_open_exchanges_end_after_a_minute(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = OpenExchanges()
    loop = asyncio.get_running_loop()
    start = loop.time()
    key = opened.keep(process.authenticator.begin(PEER, "PLAIN"))
    monkeypatch.setattr(loop, "time", lambda: start + 61.0)
    assert opened.take(key) is None
    opened.keep(process.authenticator.begin(PEER, "PLAIN"))
    monkeypatch.setattr(loop, "time", lambda: start + 200.0)
    opened.keep(process.authenticator.begin(PEER, "PLAIN"))
    assert len(opened) == 1


async def test_t_2fa_06_who_is_revoked(process: Process, remote: RemoteAuthenticator) -> None:
    many = [Identity(AccountId(f"a{number}"), "x@example.org", credential=f"c{number}") for number in range(2500)]
    assert await remote.revoked(many) == frozenset()
    process.book.gone = {"c0", "c1000", "c2499"}
    by_a_plugin = Identity(AccountId("a1"), "alice@example.org")
    assert await remote.revoked([*many, by_a_plugin]) == {many[0], many[1000], many[2499]}
    process.book.disabled = {AccountId("a1")}
    assert await remote.revoked([many[0], by_a_plugin]) == {many[0], by_a_plugin}, (
        "a plugin checked it, and the account is disabled"
    )
    process.book.is_away = True
    assert await remote.revoked([]) == frozenset(), "nobody is asked"
    with pytest.raises(LoginUnavailable):
        await remote.revoked(many)
    await process.server.close()
    with pytest.raises(LoginUnavailable):
        await remote.revoked(many)


async def test_t_auth_01_a_local_command_unlocks(path: Path, remote: RemoteAuthenticator) -> None:
    process = Process(path, free=2)
    await process.server.start()
    for _ in range(10):
        await remote.begin(PEER, "PLAIN").step(plain_response(b"alice@example.org", b"wrong"))
    await asyncio.to_thread(unlock, path, AccountId("a1"))
    process.slept.clear()
    assert await remote.begin(PEER, "PLAIN").step(plain_response(b"alice@example.org", b"right")) == Accepted(ALICE)
    assert process.slept == []
    await process.server.close()
    with pytest.raises(PeerAway):
        await asyncio.to_thread(unlock, path, AccountId("a1"))
