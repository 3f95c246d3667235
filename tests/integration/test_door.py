"""What reaches the door of a whole server: verdicts that must not stick, look-alikes of the end on every listener, guessing."""

import base64
import smtplib
import socket
from collections.abc import Iterator

import pytest

from mailward.testing import Scan
from mailward.testing.scanning import ScanResult
from support.clamd_server import EICAR
from support.doors import LISTENERS, Doors, doors
from support.server import Server
from support.smtp_service import read_all, read_reply, say, trusting

POLICY = """\
version: 1
plugins: {antivirus: {engine: test-file}}
rules:
  - {name: friend, when: 'message.subject == "from a friend"', then: accept}
  - {name: infected, when: 'antivirus.infected', then: reject}
"""


@pytest.fixture(scope="module")
def every_door() -> Iterator[Doors]:
    with doors(POLICY) as made:
        yield made


@pytest.fixture(scope="module")
def target(every_door: Doors) -> Server:
    return every_door.target


def _mail(subject: str, body: bytes) -> bytes:
    return f"From: a@sender.invalid\r\nSubject: {subject}\r\n\r\n".encode() + body + b"\r\n"


def test_t_state_02_the_verdict_on_one_message_is_not_the_next_ones(target: Server) -> None:
    with smtplib.SMTP("127.0.0.1", target.port("mx"), timeout=30) as client:
        for _ in range(2):
            assert client.sendmail("a@sender.invalid", [target.demo], _mail("from a friend", b"hello")) == {}
            with pytest.raises(smtplib.SMTPDataError) as refused:
                client.sendmail("a@sender.invalid", [target.demo], _mail("from nobody", EICAR))
            assert refused.value.smtp_code == 554
        assert client.sendmail("a@sender.invalid", [target.demo], _mail("from anybody", b"clean")) == {}


def test_t_state_01_behind_a_refused_message_there_is_no_transaction(target: Server) -> None:
    with socket.create_connection(("127.0.0.1", target.port("mx")), 30) as client:
        read_reply(client)
        say(client, "EHLO c.example.net", "MAIL FROM:<a@sender.invalid>", f"RCPT TO:<{target.demo}>", "DATA")
        client.sendall(_mail("x", EICAR) + b".\r\n")
        assert read_reply(client).startswith("554")
        assert say(client, f"RCPT TO:<{target.demo}>").startswith("503")
        assert say(client, "DATA").startswith("503")


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("look_alike", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n"], ids=repr)
def test_t_smtp_02_03_05_10_look_alikes_of_the_end_are_no_end_on_any_listener(
    every_door: Doors, listener: str, look_alike: bytes
) -> None:
    sender, demo = every_door.sender(listener), every_door.target.demo
    with every_door.entered(listener) as client:
        say(client, f"MAIL FROM:<{sender}>", f"RCPT TO:<{demo}>", "DATA")
        smuggled = f"MAIL FROM:<{sender}>\r\nRCPT TO:<{demo}>\r\nDATA\r\nSubject: smuggled\r\n\r\n".encode()
        client.sendall(f"From: {sender}\r\n\r\nhello".encode() + look_alike + smuggled + b"\r\n.\r\n")
        answers = read_all(client).splitlines()
    assert len(answers) == 1 and answers[0].startswith("550 5.5.2")
    assert not any("smuggled" in subject for subject in every_door.subjects())


@pytest.mark.parametrize("listener", LISTENERS)
def test_t_smtp_12_13_a_line_with_cr_lf_or_nul_in_it_is_no_command_on_any_listener(every_door: Doors, listener: str) -> None:
    mail = f"MAIL FROM:<{every_door.sender(listener)}>"
    with every_door.entered(listener) as client:
        assert say(client, f"NOOP\r{mail}").startswith("500 5.5.2")
        assert say(client, f"RCPT TO:<{every_door.target.demo}>").startswith("503")
        assert say(client, mail).startswith("250")
        assert say(client, "RCPT TO:<demo\0@example.test>").startswith("501 5.5.4")
        assert say(client, "DATA")[3:] == " 5.5.1 No valid recipients\r\n"
        client.sendall(f"NOOP\nRCPT TO:<{every_door.target.demo}>\nDATA\n".encode())
        assert read_all(client) == "500 5.5.2 Lines end in CRLF\r\n"


@pytest.mark.parametrize("verb", ["POST / HTTP/1.1", "GET / HTTP/1.0", "SSH-2.0-OpenSSH_9.2p1"])
@pytest.mark.parametrize("listener", LISTENERS)
def test_t_smtp_23_other_protocols_are_sent_away_from_every_listener(every_door: Doors, listener: str, verb: str) -> None:
    with every_door.entered(listener) as client:
        client.sendall(f"{verb}\r\nHost: mx.example.test\r\n\r\nMAIL FROM:<{every_door.sender(listener)}>\r\n".encode())
        assert read_all(client) == "421 4.7.0 This is an SMTP server\r\n"


def test_t_smtp_30_whatever_is_said_the_log_is_lines_of_printable_text(every_door: Doors) -> None:
    evil = "\x1b[2J\x9b1m\r\n2026-01-01 event=verdict verdict=accept rcpt=forged\u202e\u2028"
    head = f"From: a@sender.invalid\r\nMessage-ID: <{evil.splitlines()[0]}@x>\r\nSubject: {evil.splitlines()[0]}\r\n".encode()
    secret = base64.b64encode(f"\0{evil}\0{evil}".encode()).decode()
    with every_door.connect("submissions") as plain:
        client = trusting().wrap_socket(plain)
        read_reply(client)
        say(client, "EHLO c.example.net", f"AUTH PLAIN {secret}", "AUTH LOGIN", base64.b64encode(evil.encode()).decode())
        say(client, base64.b64encode(evil.encode()).decode())
        client.close()
    with every_door.entered("mx") as inside:
        for line in evil.splitlines():
            for command in (
                "EHLO ",
                "VRFY ",
                "MAIL FROM:<a@sender.invalid> ",
                f'MAIL FROM:<"{line}"@sender.invalid> ',
                "",
                "STARTTLS ",
            ):
                say(inside, command + line)
            say(inside, "RSET")
        say(inside, "MAIL FROM:<a@sender.invalid> SMTPUTF8")
        for name in ('"x rcpt=forged verdict=accept"', "\u202e\u2028\u009b1m", '"\u2028\u0085"'):
            say(inside, f"RCPT TO:<{name}@{every_door.target.domain}>")
    with every_door.entered("mx") as inside:
        say(inside, "MAIL FROM:<a@sender.invalid>", f"RCPT TO:<{every_door.target.demo}>", "DATA")
        inside.sendall(head + b"\r\nx\r\n.\r\n")
        read_reply(inside)
    log = every_door.target.log_octets().decode()
    assert not [line for line in log.split("\n") if not line.isprintable()]
    assert r' rcpt="\"x rcpt=forged verdict=accept\"@example.test" ' in log
    assert not any(line.startswith("2026-01-01") for line in log.split("\n"))


def test_t_dos_04_commands_that_move_nothing_end_the_session(target: Server) -> None:
    with socket.create_connection(("127.0.0.1", target.port("mx")), 30) as client:
        read_reply(client)
        client.sendall(b"EHLO c.example.net\r\n" + b"")
        read_reply(client)
        client.sendall(b"NOOP\r\nRSET\r\nHELP\r\nVRFY <x@y.example>\r\n" * 100)
        said = read_all(client)
        assert said.endswith("421 4.7.0 Too many errors\r\n") and said.count("\r\n") <= 102


def test_t_relay_18_nobody_learns_who_is_here_but_by_the_recipients_of_mail(target: Server) -> None:
    with socket.create_connection(("127.0.0.1", target.port("mx")), 30) as client:
        read_reply(client)
        say(client, "EHLO c.example.net")
        known, unknown = say(client, f"VRFY <{target.demo}>"), say(client, "VRFY <nobody@example.test>")
        assert known == unknown and known.startswith("252")
        assert say(client, "EXPN staff").startswith("502")
        say(client, "MAIL FROM:<a@sender.invalid>")
        for number in range(20):
            assert say(client, f"RCPT TO:<guess{number}@{target.domain}>").startswith("550 5.1.1")
        assert read_reply(client).startswith("421 4.7.0")


def anomalies(result: ScanResult) -> tuple[str, ...]:
    found = result.record.facts["message.anomalies"]
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize("lines", [1, 10_000])
def test_t_smtp_27_a_from_line_of_an_mbox_is_no_field_and_is_counted(scan: Scan, lines: int) -> None:
    result = scan(
        "From a@b Mon Jan  1 00:00:00 2026\r\n" * lines + "From: a@example.net\r\nSubject: x\r\n\r\nbody\r\n", plugins=[]
    )
    assert "MALFORMED_FIELD" in anomalies(result)
    assert result.record.size_octets > 35 * lines


def test_t_smtp_28_a_header_ends_where_no_field_stands_for_everybody_alike(scan: Scan) -> None:
    result = scan("From: a@example.net\r\nSubject: x\r\nno field at all\r\nX-After: y\r\n\r\nbody\r\n", plugins=[])
    assert "MALFORMED_FIELD" in anomalies(result)
