"""What a session does to the scripts in the store, who is let in, and what a client is told when things fail."""

import asyncio
from pathlib import Path

import pytest

from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.store.account import EmbeddedAccount
from mailward.store.base import Script
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import MAX_SCRIPTS
from support.managesieve import Client, Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


async def test_a_script_is_stored_as_it_was_sent_and_found_by_the_next_session(office: Office) -> None:
    text = '# Grüße\r\nrequire "fileinto";\r\nfileinto "Archive";'
    first = await Client(office).login()
    assert (await first.put("main", text)).word == "OK"
    await first.command('SETACTIVE "main"')
    await first.drop()
    second = await Client(office).login()
    assert (await second.command('GETSCRIPT "main"')).data == (f"{{{len(text.encode())}}}\r\n{text}".encode(),)
    assert office.account().scripts() == (Script("main", text.encode(), True),)
    assert (await (await Client(office).login("bob")).command("LISTSCRIPTS")).data == ()


async def test_all_mistakes_of_a_script_are_told_with_their_places_and_nothing_is_stored(office: Office) -> None:
    client = await Client(office).login()
    response = await client.put("main", 'keep;\r\nfrobnicate;\r\nfileinto "x";\r\n')
    assert response.word == "NO" and response.code == ""
    first, second = response.text.split("\r\n")
    assert first.startswith("line 2, column 1: ") and "frobnicate" in first
    assert second.startswith("line 3, column 1: ") and 'require "fileinto"' in second
    assert (await client.command(f'CHECKSCRIPT "{"frobnicate;"}"')).word == "NO"
    assert office.account().scripts() == ()


async def test_a_script_that_is_replaced_by_one_with_mistakes_stays(office: Office) -> None:
    client = await Client(office).login()
    await client.put("main", "keep;")
    assert (await client.put("main", "kep;")).word == "NO"
    assert office.account().scripts() == (Script("main", b"keep;", False),)


async def test_a_script_of_no_octets_keeps_everything(office: Office) -> None:
    client = await Client(office).login()
    assert (await client.put("empty", "")).word == "OK"
    assert (await client.command('SETACTIVE "empty"')).word == "OK"


async def test_t_imap_20_there_are_limits_on_how_many_scripts_and_how_long(office: Office) -> None:
    client = await Client(office).login()
    for number in range(MAX_SCRIPTS):
        assert (await client.put(f"script {number}", "keep;")).word == "OK"
    assert (await client.put("one more", "keep;")).code == "QUOTA/MAXSCRIPTS"
    assert (await client.command('HAVESPACE "one more" 5')).code == "QUOTA/MAXSCRIPTS"
    assert (await client.command('HAVESPACE "script 1" 5')).word == "OK"
    assert (await client.put("script 1", "stop;")).word == "OK"
    assert (await client.put("script 1", "#" * 2_000_000)).code == "QUOTA/MAXSIZE"
    assert (await client.command('HAVESPACE "script 1" 2000000')).code == "QUOTA/MAXSIZE"
    assert (await client.command("NOOP")).word == "OK"


@pytest.mark.parametrize(
    "text", ["if " + "not " * 10_000 + "true { keep; }", "if true { " * 5000 + "}" * 5000, "keep;" * 50_000, '"' * 1000]
)
async def test_t_imap_20_scripts_that_would_cost_much_are_refused_or_stored_and_the_session_goes_on(
    office: Office, text: str
) -> None:
    client = await Client(office).login()
    await client.put("deep", text)
    assert (await client.command("NOOP")).word == "OK"


async def test_the_login_chain_hears_of_the_protocol(office: Office) -> None:
    client = await Client(office).login()
    (peer,) = office.authenticator.peers
    assert (peer.protocol, peer.peer_ip) == ("managesieve", "192.0.2.1")
    assert client.session.account == "alice"
    unavailable = Client(office)
    await unavailable.response()
    assert (await unavailable.command('AUTHENTICATE "PLAIN" "AGRvd24AeA=="')).code == "TRYLATER"


async def test_scram_ends_with_a_challenge_that_is_answered_by_nothing(office: Office) -> None:
    client = Client(office)
    await client.response()
    client.wire.feed(b'AUTHENTICATE "SCRAM-SHA-256" "biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8="\r\n')
    assert (await client.line()).startswith(b'"cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVo')
    proof = b"Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ=="
    client.wire.feed(b'"' + proof + b'"\r\n')
    assert await client.line() == b'"dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ=="'
    assert (await client.command('""')).word == "OK"


async def test_a_store_that_fails_is_told_as_something_that_passes(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: EmbeddedStore, account: AccountId) -> EmbeddedAccount:
        raise StorageError("disk full")

    client = await Client(office).login()
    monkeypatch.setattr(EmbeddedStore, "open", failing)
    other = Client(office)
    await other.response()
    assert (await other.command('AUTHENTICATE "PLAIN" "AGFsaWNlAHNlY3JldCB3b3Jk"')).code == "TRYLATER"
    assert (await client.command("LISTSCRIPTS")).word == "OK"


async def test_starttls_starts_over(office: Office) -> None:
    client = Client(office, is_secure=False, can_start_tls=True)
    assert b'"STARTTLS"' in (await client.response()).data
    assert (await client.command("STARTTLS")).word == "OK"
    told = await client.response()
    assert b'"STARTTLS"' not in told.data and told.word == "OK"


async def test_shutdown_says_bye(office: Office) -> None:
    client = await Client(office).login()
    client.session.say_goodbye("Server is shutting down")
    client.wire.feed(b"NOOP\r\n")
    assert [(await client.response()).word for _ in range(1)] == ["BYE"]
    await asyncio.wait((client.task,), timeout=90)
    assert client.task.done()


@pytest.mark.parametrize("begun", [b"NOO", b'PUTSCRIPT "a" {100+}\r\n', b'PUTSCRIPT "a" {4+}\r\nkeep'])
async def test_t_dos_01_a_client_that_has_begun_a_command_is_not_waited_for_as_one_that_rests(
    office: Office, begun: bytes
) -> None:
    client = await Client(office).login()
    client.wire.is_patient = False
    assert (await client.command("NOOP")).word == "OK"
    client.wire.feed(begun)
    assert (await client.response()).word == "BYE"
    await client.task
