"""What is sent in clear around STARTTLS, at every listener that has it: the attacks of "Why TLS is better without STARTTLS" (2021).

None of it may count once TLS is on. Each protocol has its own words for the same things.
"""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.doors import Doors, doors
from support.smtp_service import trusting


@dataclass(frozen=True)
class Dialect:
    """hello: what comes before. start: STARTTLS. injected: commands that get an answer. probe: a command that any session answers, and
    `answer` is how that begins when nothing that was said in clear is left. is_told: the server speaks first under TLS.
    """

    hello: bytes
    start: bytes
    injected: bytes
    probe: bytes
    answer: bytes
    is_told: bool = False


_SMTP = Dialect(
    b"EHLO c.example.net\r\n", b"STARTTLS\r\n", b"EHLO evil.example.net\r\nNOOP\r\n", b"MAIL FROM:<a@x.example>\r\n", b"503 "
)
DIALECTS = {
    "mx": _SMTP,
    "submission": _SMTP,
    "lmtp": Dialect(b"LHLO c.example.net\r\n", b"STARTTLS\r\n", b"LHLO evil.example.net\r\nNOOP\r\n", _SMTP.probe, b"503 "),
    "imap": Dialect(b"a CAPABILITY\r\n", b"b STARTTLS\r\n", b"evil NOOP\r\n", b"c SELECT INBOX\r\n", b"c BAD "),
    "pop3": Dialect(b"CAPA\r\n", b"STLS\r\n", b"USER evil\r\nCAPA\r\n", b"PASS evil\r\n", b"-ERR First USER"),
    "managesieve": Dialect(
        b"CAPABILITY\r\n",
        b"STARTTLS\r\n",
        b'NOOP "evil"\r\nCAPABILITY\r\n',
        b"LISTSCRIPTS\r\n",
        b'NO "Log in first"',
        is_told=True,
    ),
}
WAYS = ("one segment", "before the reply", "before the ClientHello", "behind the ClientHello", "the first half of a command")


@pytest.fixture(scope="module")
def every_door() -> Iterator[Doors]:
    with doors("version: 1\nplugins: {}\n") as made:
        yield made


class Session:
    """In clear until `shake_hands`; then TLS, with the ClientHello among octets of ours."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trusting().wrap_bio(self._incoming, self._outgoing)

    def answer(self) -> bytes:
        """Whatever comes first."""
        return self.client.recv(65536)

    def shake_hands(self, before: bytes = b"", behind: bytes = b"") -> None:
        """Raises ConnectionError or ssl.SSLError when it fails."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            else:
                self.client.sendall(self._outgoing.read())
                return
            self.client.sendall(before + self._outgoing.read() + behind)
            before = behind = b""
            self._more()

    def ask(self, command: bytes) -> bytes:
        """The answer under TLS; of no command, what the server says by itself."""
        if command:
            self._tls.write(command)
            self.client.sendall(self._outgoing.read())
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                self._more()

    def _more(self) -> None:
        octets = self.client.recv(65536)
        if not octets:
            raise ConnectionResetError("the server has ended it")
        self._incoming.write(octets)


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return DIALECTS[request.param]


@pytest.fixture
def session(request: pytest.FixtureRequest, every_door: Doors) -> Iterator[Session]:
    """One that has greeted, and heard what is offered."""
    listener = request.node.callspec.params["dialect"]
    with every_door.connect(listener) as client:
        made = Session(client)
        made.answer()
        client.sendall(DIALECTS[listener].hello)
        assert b"STARTTLS" in (offers := made.answer()) or b"STLS" in offers
        yield made


def test_without_an_attack_tls_starts_and_knows_nothing_of_before(session: Session, dialect: Dialect) -> None:
    session.client.sendall(dialect.start)
    session.answer()
    session.shake_hands()
    if dialect.is_told:
        assert b"evil" not in session.ask(b"")
    assert session.ask(dialect.probe).startswith(dialect.answer)


@pytest.mark.parametrize("way", WAYS)
def test_t_tls_01_02_03_04_nothing_that_is_sent_in_clear_is_answered_under_tls(
    session: Session, dialect: Dialect, way: str
) -> None:
    client, half = session.client, dialect.probe[:3]
    with pytest.raises((ConnectionError, ssl.SSLError)):
        if way == "one segment":
            client.sendall(dialect.start + dialect.injected)
        elif way == "the first half of a command":
            client.sendall(dialect.start + half)
        else:
            client.sendall(dialect.start)
        if way == "before the reply":
            client.sendall(dialect.injected)
        said = session.answer()
        if way in ("one segment", "the first half of a command"):
            assert not said.startswith((b"220", b"+OK", b"b OK", b"OK")) and b"evil" not in said
        session.shake_hands(
            before=dialect.injected if way == "before the ClientHello" else b"",
            behind=dialect.injected if way == "behind the ClientHello" else b"",
        )
        session.ask(dialect.probe[3:] if way == "the first half of a command" else dialect.probe)


def test_t_tls_09_tls_starts_once_and_takes_no_argument(session: Session, dialect: Dialect) -> None:
    refusals = (b"501 ", b"503 ", b"502 ", b"b BAD", b"-ERR", b"NO ")
    session.client.sendall(dialect.start.replace(b"\r\n", b" now\r\n"))
    assert session.answer().startswith(refusals)
    session.client.sendall(dialect.start)
    session.answer()
    session.shake_hands()
    if dialect.is_told:
        session.ask(b"")
    offers = session.ask(dialect.hello)
    assert b"STARTTLS" not in offers and b"STLS" not in offers
    assert session.ask(dialect.start).startswith(refusals)
