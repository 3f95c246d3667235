"""LOGIN and AUTHENTICATE as SASL exchanges (RFC 3501 section 6.2, RFC 4959), by the real mechanisms."""

import base64

import pytest
import scramp

from mailward.access.imap.session import MAX_BAD_COMMANDS
from support.imap import PASSWORD, Client, Office

NAME = "alice@example.test"


def plain(password: str = PASSWORD, authzid: str = "") -> str:
    return base64.b64encode(f"{authzid}\0{NAME}\0{password}".encode()).decode()


async def scram(client: Client, *, initial: bool, password: str = PASSWORD) -> bytes:
    """The tagged reply."""
    exchange = scramp.ScramClient(["SCRAM-SHA-256"], NAME, password)
    first = base64.b64encode(exchange.get_client_first().encode())
    client.wire.feed(b"s AUTHENTICATE SCRAM-SHA-256" + (b" " + first if initial else b"") + b"\r\n")
    if not initial:
        assert await client.line() == b"+ "
        client.wire.feed(first + b"\r\n")
    exchange.set_server_first(base64.b64decode((await client.line()).removeprefix(b"+ ")).decode())
    client.wire.feed(base64.b64encode(exchange.get_client_final().encode()) + b"\r\n")
    reply = await client.line()
    if reply.startswith(b"+ "):
        exchange.set_server_final(base64.b64decode(reply.removeprefix(b"+ ")).decode())
        client.wire.feed(b"\r\n")
        reply = await client.line()
    return reply


async def test_capabilities_name_the_mechanisms_under_tls_alone(office: Office) -> None:
    secure, clear = Client(office), Client(office, is_secure=False, can_start_tls=True)
    assert b" AUTH=SCRAM-SHA-256 AUTH=PLAIN]" in await secure.line()
    greeting = await clear.line()
    assert b"LOGINDISABLED" in greeting and b"AUTH=" not in greeting


@pytest.mark.parametrize("initial", [True, False])
async def test_scram(office: Office, initial: bool) -> None:
    client = Client(office)
    await client.line()
    assert (await scram(client, initial=initial)).startswith(b"s OK [CAPABILITY ")
    await client.ok("SELECT INBOX")
    assert client.session.account == "alice"


async def test_scram_with_a_wrong_password_and_then_the_right_one(office: Office) -> None:
    client = Client(office)
    await client.line()
    assert await scram(client, initial=True, password="wrong") == b"s NO [AUTHENTICATIONFAILED] Authentication failed"
    assert (await scram(client, initial=True)).startswith(b"s OK")


async def test_mechanism_names_in_any_case_and_login_too(office: Office) -> None:
    client = Client(office)
    await client.line()
    assert (await client.command(f"authenticate plain {plain()}"))[-1].startswith(b"OK")
    other = Client(office)
    await other.line()
    other.wire.feed(b"l AUTHENTICATE LOGIN\r\n")
    for wanted, given in ((b"Username:", NAME.encode()), (b"Password:", PASSWORD.encode())):
        assert await other.line() == b"+ " + base64.b64encode(wanted)
        other.wire.feed(base64.b64encode(given) + b"\r\n")
    assert (await other.line()).startswith(b"l OK")


@pytest.mark.parametrize("command", ["LOGIN {name} {password}", "AUTHENTICATE PLAIN {plain}", "AUTHENTICATE SCRAM-SHA-256"])
async def test_t_tls_11_in_clear_the_password_is_not_looked_at(office: Office, command: str) -> None:
    office.authenticator.book.is_away = True  # so a look would say UNAVAILABLE
    client = Client(office, is_secure=False, can_start_tls=True)
    await client.line()
    (reply,) = await client.command(command.format(name=NAME, password=PASSWORD, plain=plain()))
    assert reply == b"NO [PRIVACYREQUIRED] Start TLS first"


async def test_when_nobody_can_tell(office: Office) -> None:
    office.authenticator.book.is_away = True
    client = Client(office)
    await client.line()
    for command in (f"LOGIN {NAME} {PASSWORD}", f"AUTHENTICATE PLAIN {plain()}"):
        (reply,) = await client.command(command)
        assert reply.startswith(b"NO [UNAVAILABLE] ")
    office.authenticator.book.is_away = False
    await client.ok(f"LOGIN {NAME} {PASSWORD}")


async def test_t_auth_03_an_empty_password_fails_like_a_wrong_one(office: Office) -> None:
    client = Client(office)
    await client.line()
    assert await client.command(f'LOGIN {NAME} ""') == await client.command(f"LOGIN {NAME} wrong")


async def test_a_client_that_gives_up_in_the_middle(office: Office) -> None:
    client = Client(office)
    await client.line()
    exchange = scramp.ScramClient(["SCRAM-SHA-256"], NAME, PASSWORD)
    client.wire.feed(b"s AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(exchange.get_client_first().encode()) + b"\r\n")
    await client.line()
    client.wire.feed(b"*\r\n")
    assert await client.line() == b"s BAD Authentication cancelled"
    await client.ok(f"LOGIN {NAME} {PASSWORD}")


async def test_before_a_login_all_bad_commands_count(office: Office) -> None:
    client = Client(office)
    await client.line()
    for _ in range(MAX_BAD_COMMANDS):
        await client.ok("NOOP")
        assert (await client.command("NOSUCH"))[-1].startswith(b"BAD ")
    assert await client.line() == b"* BYE Too many bad commands"


async def test_behind_a_login_bad_commands_count_until_one_succeeds(office: Office) -> None:
    client = await Client(office).login()
    for _ in range(2):
        for _ in range(MAX_BAD_COMMANDS - 1):
            assert (await client.command("NOSUCH"))[-1].startswith(b"BAD ")
        await client.ok("NOOP")
    for _ in range(MAX_BAD_COMMANDS):
        await client.command("NOSUCH")
    assert await client.line() == b"* BYE Too many bad commands"
