"""POP3 of a whole server: what comes in by SMTP goes out octet for octet, and IMAP and POP3 tell the same of one mailbox."""

import poplib
import random
import smtplib
from collections.abc import Iterator

import pytest

from support.server import PASSWORD, Server, server

COUNT = 300
NO_FILTERS = "version: 1\nplugins: {}\n"


class PopServer:
    """A whole server with its POP3 ports."""

    def __init__(self, target: Server) -> None:
        self.target = target
        self.tls_port, self.plain_port = target.port("pop3s"), target.port("pop3")

    def pop(self, password: str = PASSWORD, *, utf8: bool = False) -> poplib.POP3_SSL:
        client = poplib.POP3_SSL("127.0.0.1", self.tls_port, context=self.target.tls(), timeout=60)
        if utf8:
            client.utf8()
        client.user("demo@example.test")
        client.pass_(password)
        return client


@pytest.fixture
def running() -> Iterator[PopServer]:
    with server(policy=NO_FILTERS) as target:
        yield PopServer(target)


def odd_messages() -> list[bytes]:
    """Messages that servers stumble over, and none that SMTP does not carry."""
    chance = random.Random(1939)
    pieces = [
        b"",
        b".",
        b"..",
        b". ",
        b"...x",
        b"\t",
        b" ",
        b"From x",
        b">From x",
        b"\xe9\xff",
        b"x" * 997,
        b"QUIT",
        b"+OK",
        b"-ERR",
    ]
    pieces += [b".\t", b"--b", b"=3D", "Grüße".encode(), b"x" * 4000, b"Subject: y"]
    made = []
    for number in range(COUNT):
        head = b"Subject: odd %d\r\nFrom: a@sender.invalid\r\n" % number
        if number % 7 == 0:
            head += b"X-Folded: a\r\n b\r\n\tc\r\n"
        lines = [chance.choice(pieces) for _ in range(chance.choice((0, 1, 2, 5, 20)))]
        made.append(head + b"\r\n" + b"".join(line + b"\r\n" for line in lines))
    made.append(b"Subject: large\r\n\r\n" + b".%b\r\n" % (b"z" * 70) * 60_000)
    return made


def test_what_came_by_smtp_goes_out_octet_for_octet(running: PopServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poplib, "_MAXLINE", 100_000)
    messages = odd_messages()
    with running.target.smtp() as client:
        client.ehlo()
        for octets in messages:
            assert client.mail("a@sender.invalid")[0] == client.rcpt("demo@example.test")[0] == 250
            assert client.data(octets)[0] == 250
    by_imap = running.target.wait_for(len(messages))
    pop = running.pop()
    count, total = pop.stat()
    sizes = [int(line.split()[1]) for line in pop.list()[1]]
    by_pop = [b"".join(line + b"\r\n" for line in pop.retr(number)[1]) for number in range(1, count + 1)]
    pop.quit()
    assert by_pop == by_imap
    assert [len(octets) for octets in by_pop] == sizes and sum(sizes) == total
    wanted = {octets.partition(b"\r\n")[0]: octets for octets in messages}
    for octets in by_pop:
        subject = octets[octets.index(b"Subject: ") :].partition(b"\r\n")[0]
        assert octets.endswith(wanted.pop(subject))
    assert not wanted


def test_imap_and_pop3_see_what_the_other_did(running: PopServer) -> None:
    for number, subject in enumerate(("one", "two", "three"), 1):
        assert running.target.send(f"Subject: {subject}\r\n\r\n{subject}\r\n".encode())[0] == 250
        running.target.wait_for(number)  # several processes deliver, so that mail which waits at once comes in any order
    pop = running.pop()
    assert b"one" in pop.retr(1)[1]
    pop.dele(2)
    with pytest.raises(poplib.error_proto, match=r"\[IN-USE\]"):
        running.pop()
    with running.target.imap() as imap:
        assert imap.select("INBOX") == ("OK", [b"3"])
        pop.quit()
        imap.noop()
        assert imap.search(None, "SEEN") == ("OK", [b"1"])
        assert imap.search(None, "ALL") == ("OK", [b"1 2"])
        imap.append("INBOX", "", "", "Subject: Grüße\r\n\r\nZürich\r\n".encode())
    pop = running.pop(utf8=True)
    assert pop.retr(3)[1] == ["Subject: Grüße".encode(), b"", "Zürich".encode()]
    pop.quit()
    assert running.pop().retr(3)[1] == [b"Subject: =?utf-8?B?R3LDvMOfZQ==?=", b"", "Zürich".encode()]


def test_logins_that_fail(running: PopServer) -> None:
    with pytest.raises(poplib.error_proto, match=r"^b'-ERR \[AUTH\] Authentication failed'$"):
        running.pop("wrong")
    plain = poplib.POP3("127.0.0.1", running.plain_port, timeout=60)
    with pytest.raises(poplib.error_proto, match="Start TLS first"):
        plain.user("demo@example.test")
    plain.stls(running.target.tls())
    plain.user("demo@example.test")
    assert plain.pass_(PASSWORD).startswith(b"+OK 0 messages")
    assert smtplib.SMTP("127.0.0.1", running.target.port("mx"), timeout=20).noop()[0] == 250
