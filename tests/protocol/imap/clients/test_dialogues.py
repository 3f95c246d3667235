"""What programs say that do not run here, in packets as they send them: what they need comes, and nothing that confuses them.

One file a program, in our words after what was seen of it. Lines that begin with C: and follow each other are one packet, with an
empty line between them two; D: is a message that arrives for a mailbox; C2: and S2: are another connection. `<name>` stands for a
word that comes again, `<any>` for anything. Untagged OK may come at any time.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailward.model.ids import AccountId
from mailward.store.ops import Append
from support.imap import Client, Office, settle

FOLDER = Path(__file__).parent
_LINE = re.compile(r"([CSD])(\d*):(?: (.*))?")
_WORD = re.compile(r"<([a-z]+)>")
_MESSAGE = """\
From: Ann <ann@example.net>
To: alice@example.test
Subject: {0}
Date: Mon, 2 Nov 2026 10:00:00 +0000
Message-ID: <{0}@example.net>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8

the text of {0}
--b
Content-Type: text/html; charset=utf-8

<p>the text of {0}</p>
--b--
"""


class Dialogue:
    """The sessions of one file. words: what `<name>` has stood for."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._clients: dict[str, Client] = {}
        self._said: dict[str, list[str]] = {}
        self._words: dict[str, str] = {}

    async def play(self, text: str) -> None:
        packet, connection = "", ""
        for line in [*text.splitlines(), ""]:
            found = _LINE.fullmatch(line)
            who, number, said = found.groups() if found else ("", "", "")
            if packet and (who != "C" or number != connection):
                self._client(connection).wire.feed(packet.encode())
                packet = ""
            if who == "C":
                packet, connection = f"{packet}{self._filled(said or '')}\r\n", number
            elif who == "S":
                await self._hear(number, said or "")
            elif who == "D":
                self._deliver(*said.split())
            else:
                assert not line or line.startswith("#"), line
        for number, client in self._clients.items():
            await settle(client)
            rest = [*self._said[number], *client.wire.sent[client.read_octets :].decode().split("\r\n")]
            assert not [line for line in rest if line and not line.startswith("* OK [")], rest
            await client.close()

    def _client(self, number: str) -> Client:
        if number not in self._clients:
            self._clients[number], self._said[number] = Client(self._office), []
        return self._clients[number]

    async def _hear(self, number: str, wanted: str) -> None:
        client = self._client(number)
        pattern = re.escape(self._filled(wanted)).replace("<any>", ".*")
        pattern = re.sub(_WORD, r"(?P<\1>[^ \\])]+)", pattern)
        while True:
            if not self._said[number]:
                self._said[number] = (await client.line()).decode().split("\r\n")
            line = self._said[number].pop(0)
            if found := re.fullmatch(pattern, line):
                self._words |= found.groupdict()
                return
            assert line.startswith("* OK ["), f"{line!r} instead of {wanted!r} in\n{client.wire.sent.decode()}"

    def _filled(self, text: str) -> str:
        return re.sub(_WORD, lambda found: self._words.get(found[1], found[0]), text)

    def _deliver(self, mailbox: str, subject: str) -> None:
        account = self._office.store.open(AccountId("alice"))
        octets = _MESSAGE.format(subject).replace("\n", "\r\n").encode()
        account.apply([Append(account.mailbox(mailbox).id, octets, datetime(2026, 11, 2, 10, tzinfo=UTC))])


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
async def test_dialogue(name: str, tmp_path: Path) -> None:
    await Dialogue(Office(tmp_path)).play((FOLDER / f"{name}.txt").read_text())
