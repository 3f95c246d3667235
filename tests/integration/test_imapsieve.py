"""What mailboxes hold after IMAP commands have met the admin's script, by a real client: the same here as in a real Dovecot."""

import asyncio
import imaplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailward.app.config import IMAP_CAUSES, ImapSieve
from mailward.delivery.imapsieve import ImapScripts, Met
from mailward.model.address import Address
from mailward.model.ids import AccountId
from mailward.services.clock import SystemClock
from mailward.sieve.actions import Notify, Redirect
from support.dovecot import PASSWORD, Dovecot, dovecot
from support.imap_server import ImapServer
from support.imapsieve import CASES, MESSAGE, ImapCase, carried_out, contents, emptied
from support.server import server as mail_server


def _user(case: ImapCase) -> str:
    """Of Dovecot, for one case."""
    return f"case{CASES.index(case)}@example.test"


class Bob:
    """The one account of the server, whose scripts send nothing."""

    def addresses_of(self, account: AccountId) -> tuple[Address, ...]:
        return (Address("bob", "example.org"),)

    def redirect(self, met: Met, action: Redirect) -> str:
        raise AssertionError(action)

    def notify(self, met: Met, action: Notify) -> str:
        raise AssertionError(action)


@pytest.fixture(scope="module")
def scripts() -> Iterator[ImapScripts]:
    made = ImapScripts(None, Bob(), Bob(), SystemClock())
    yield made
    asyncio.run(made.close())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, scripts: ImapScripts) -> Iterator[ImapServer]:
    running = ImapServer(tmp_path_factory.mktemp("i"), scripts=scripts)
    yield running
    running.close()


@pytest.fixture(scope="module")
def peer() -> Iterator[Dovecot]:
    with dovecot(imapsieve={_user(case): case.script for case in CASES}) as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_mailboxes_hold_what_the_script_says(server: ImapServer, scripts: ImapScripts, case: ImapCase) -> None:
    with server.connect() as client:
        scripts.use(ImapSieve(Path("imap.sieve"), case.script.encode(), frozenset(IMAP_CAUSES.values())))
        carried_out(client, case.commands, lambda: asyncio.run(scripts.drain()))
        scripts.use(None)
        found = contents(client)
        emptied(client)
    assert found == case.becomes


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_dovecot_does_the_same(peer: Dovecot, case: ImapCase) -> None:
    with imaplib.IMAP4("127.0.0.1", peer.port, timeout=90) as client:
        assert client.login(_user(case), PASSWORD)[0] == "OK"
        carried_out(client, case.commands)
        assert contents(client) == (case.becomes if case.differs is None else case.differs)


def test_a_whole_server_sends_what_the_script_says_and_reads_it_again_at_a_reload() -> None:
    script = 'require ["imapsieve", "environment", "imap4flags", "enotify"];\nif environment "imap.cause" "COPY" {{ {0} }}\n'
    with mail_server(start=False) as running:
        file = running.folder / "imap.sieve"
        file.write_text(script.format('notify :message "it is filed" "mailto:demo@example.test";'))
        running.config.write_text(running.config.read_text() + "imapsieve: {script: imap.sieve, causes: [copy]}\n")
        running.start()
        with running.imap() as client:
            assert client.append("Archive", "", "", MESSAGE)[0] == "OK"
            client.select("Archive")
            assert client.copy("1", "Trash")[0] == "OK"
            running.until(lambda: any(b"Subject: it is filed" in octets for octets in running.messages()))
            file.write_text(script.format('addflag "$Filed";'))
            running.reload()
            assert client.copy("1", "Trash")[0] == "OK"
            client.select("Trash")
            running.until(lambda: b"$Filed" in (client.fetch("2", "(FLAGS)")[1][0] or b""))
