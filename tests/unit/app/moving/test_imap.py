"""Another IMAP server that does not speak as was said: what its admin is told."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from mailward.app.moving.imap import ImapSource, Login, Tls
from mailward.app.moving.source import SourceError

GREETING = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"


@contextmanager
def saying(greeting: bytes, login: bytes = b"OK done") -> Iterator[int]:
    """A server without TLS, for one connection, that answers LOGIN so; its port. No greeting: it hangs up."""

    connections: list[socket.socket] = []

    def serve() -> None:
        client, _ = listening.accept()
        connections.append(client)
        with closing(client), suppress(OSError), client.makefile("rwb", buffering=0) as stream:  # it may hang up, too
            stream.write(greeting)
            for line in stream if greeting else ():
                tag, _, command = line.strip().partition(b" ")
                untagged = b"* CAPABILITY IMAP4rev1\r\n" if command == b"CAPABILITY" else b""
                stream.write(untagged + tag + b" " + (login if command.startswith(b"LOGIN") else b"OK done") + b"\r\n")

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            for client in connections:
                with suppress(OSError):  # it has ended
                    client.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("tls", "greeting", "said"),
    [
        ("implicit", GREETING, "it takes --tls starttls"),
        ("starttls", GREETING, "it takes --tls implicit"),
        ("starttls", b"", "it takes --tls implicit"),
        ("none", b"", "it takes --tls implicit"),
    ],
)
def test_the_other_way_of_tls_is_named(tls: Tls, greeting: bytes, said: str) -> None:
    with saying(greeting) as port, pytest.raises(SourceError, match=said):
        ImapSource(Login("127.0.0.1", port, tls, "alice", "password"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"NO [PRIVACYREQUIRED] not in clear", r"refused: \[PRIVACYREQUIRED\] not in clear; it wants TLS first: --tls starttls$"),
        (b"NO [AUTHENTICATIONFAILED] no", r"the login of alice was refused: \[AUTHENTICATIONFAILED\] no$"),
    ],
)
def test_a_refused_login_is_told_in_the_server_s_words(answer: bytes, said: str) -> None:
    with saying(GREETING, answer) as port, pytest.raises(SourceError, match=said):
        ImapSource(Login("127.0.0.1", port, "none", "alice", "password"))


def test_a_port_in_the_host_is_told_before_anybody_is_asked_for_the_name() -> None:
    with pytest.raises(SourceError, match=r"^localhost:41994: a host is named without its port; say localhost --port 41994$"):
        ImapSource(Login("localhost:41994", 993, "implicit", "alice", "password"))


def test_what_this_machine_says_of_a_host_is_told_without_its_number() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(SourceError, match=f"^127.0.0.1 port {port}: Connection refused$"):
        ImapSource(Login("127.0.0.1", port, "implicit", "alice", "password"))
