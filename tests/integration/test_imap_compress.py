"""Compressed sessions over real sockets (RFC 4978), and what T-IMAP-12 is about."""

import asyncio
import socket
import zlib
from collections.abc import Iterator

import pytest

from mailward.net.compression import Deflate
from support.imap_server import LOGIN, MESSAGE, ImapServer, read_until


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImapServer]:
    running = ImapServer(tmp_path_factory.mktemp("i"))
    yield running
    running.close()


class Deflated:
    """A client that has said COMPRESS: what it sends and reads is deflated."""

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        self._out, self._in = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
        raw.sendall(LOGIN + b"z COMPRESS DEFLATE\r\n")
        assert b"z OK" in read_until(raw, b"DEFLATE active\r\n")

    def send(self, octets: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> None:
        self.raw.sendall(self._out.compress(octets) + self._out.flush(flush))

    def read_until(self, wanted: bytes) -> bytes:
        """Up to the end of the connection where it ends before."""
        octets = b""
        while wanted not in octets and (more := self.raw.recv(65536)):
            octets += self._in.decompress(more)
        return octets


def compressed(server: ImapServer) -> Deflated:
    raw = server.client_context.wrap_socket(socket.create_connection(("127.0.0.1", server.tls_port), 60))
    read_until(raw, b"ready\r\n")
    return Deflated(raw)


def test_news_between_commands_and_the_commands_are_compressed(server: ImapServer) -> None:
    """NOTIFY (RFC 5465), which waits for octets and news at once."""
    client, other = compressed(server), server.connect()
    client.send(
        b"a SELECT INBOX\r\nb NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge)) (PERSONAL (MessageNew MessageExpunge))\r\n"
    )
    client.read_until(b"b OK")
    for number in range(1, 4):
        other.append("INBOX", "", "", MESSAGE)
        assert b"* %d EXISTS\r\n" % number in client.read_until(b"* %d FETCH (UID %d)\r\n" % (number, number))
        other.append("Archive", "", "", MESSAGE)
        client.read_until(b'* STATUS "Archive" (MESSAGES %d ' % number)
        client.send(b"".join(b"c%d%d UID FETCH 1:* (FLAGS)\r\n" % (number, n) for n in range(5)))
        client.read_until(b"c%d4 OK" % number)
    client.send(b"d LOGOUT\r\n")
    client.read_until(b"d OK")
    other.logout()


def test_a_compressed_session(server: ImapServer) -> None:
    client = compressed(server)
    with client.raw:
        server.deliver()
        client.send(b"b SELECT INBOX\r\nc FETCH 1 BODY.PEEK[]\r\nd CAPABILITY\r\n", zlib.Z_PARTIAL_FLUSH)  # as K-9 does
        said = client.read_until(b"d OK")
        assert MESSAGE in said
        assert b"COMPRESS" not in said
        message = b"Subject: large\r\n\r\n" + b"word " * 30_000 + b"\r\n"
        client.send(b"e APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\nf FETCH 2 BODY.PEEK[]\r\ng IDLE\r\n")
        assert message in client.read_until(b"+ idling")
        server.deliver()
        assert b"* 3 EXISTS" in client.read_until(b"EXISTS")
        client.send(b"DONE\r\nh LOGOUT\r\n")
        assert b"h OK" in client.read_until(b"h OK")


def test_t_imap_12_a_second_compress_and_one_before_login_are_refused(server: ImapServer) -> None:
    client = compressed(server)
    with client.raw:
        client.send(b"b COMPRESS DEFLATE\r\nc COMPRESS LZ4\r\nd STARTTLS\r\n")
        said = client.read_until(b"d BAD")
        assert b"b NO [COMPRESSIONACTIVE]" in said
        assert b"c BAD" in said
    with server.raw() as raw:
        raw.sendall(b"a COMPRESS DEFLATE\r\n")
        assert b"a BAD" in read_until(raw, b"a BAD")


def test_t_imap_12_a_bomb_meets_the_limit_of_a_command(server: ImapServer) -> None:
    client = compressed(server)
    with client.raw:
        client.send(b"b " + b"x" * 50_000_000)
        assert b"BYE" in client.read_until(b"BYE")


@pytest.mark.parametrize("octets", [b"\xff\xff\xff\xff garbage", zlib.compress(b"b NOOP\r\n")])
def test_t_imap_12_a_damaged_stream_ends_the_session(server: ImapServer, octets: bytes) -> None:
    client = compressed(server)
    with client.raw:
        client.raw.sendall(octets)
        assert client.read_until(b"never sent") == b""


def test_t_imap_12_a_stream_that_the_client_ends_ends_the_session(server: ImapServer) -> None:
    client = compressed(server)
    with client.raw:
        client.send(b"b NOOP\r\n", zlib.Z_FINISH)
        assert client.read_until(b"never sent") == b"b OK NOOP completed\r\n"


def test_t_imap_12_what_follows_compress_in_clear_is_not_taken_for_compressed(server: ImapServer) -> None:
    with server.client_context.wrap_socket(socket.create_connection(("127.0.0.1", server.tls_port), 60)) as raw:
        raw.sendall(LOGIN + b"b COMPRESS DEFLATE\r\nc NOOP\r\n")
        assert b"\r\nb BAD " in read_until(raw, b"\r\nc OK")


def test_t_dos_08_what_a_packet_inflates_to_leaves_turns_to_others(server: ImapServer, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, turn = list[int](), 0
    read = Deflate.read

    def counted(self: Deflate) -> bytes:
        octets = read(self)
        if octets:
            reads.append(turn)
        return octets

    def next_turn() -> None:
        nonlocal turn
        turn += 1
        asyncio.get_running_loop().call_soon(next_turn)

    client = compressed(server)
    monkeypatch.setattr(Deflate, "read", counted)
    server.call_soon(next_turn)
    client.send(b"a APPEND INBOX {990000+}\r\n" + b"x" * 990_000 + b"\r\n")
    client.read_until(b"a OK")
    assert len(reads) == len({*reads}) > 10
