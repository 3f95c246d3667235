"""What the adapter keeps to: deadlines, counts, buffers; and curl as a client that others wrote. On uvloop, as in production."""

import base64
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from mailward.net.admission import Admission, AdmissionLimits
from mailward.net.imapd import ImapSettings
from support.imap_server import LOGIN, MESSAGE, ImapServer, read_until

Start = Callable[..., ImapServer]


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    running: list[ImapServer] = []

    def begin(settings: ImapSettings | None = None, admission: Admission | None = None) -> ImapServer:
        running.append(ImapServer(tmp_path_factory.mktemp("i"), settings, admission))
        return running[-1]

    yield begin
    for server in running:
        server.close()


def rest(client: object) -> bytes:
    octets = b""
    while more := client.recv(65536):  # type: ignore[attr-defined]
        octets += more
    return octets


def test_octets_that_trickle_in_do_not_prolong_the_time_before_login(start: Start) -> None:
    server = start(ImapSettings(login_s=0.3))
    with server.raw() as client:
        said = b""
        client.settimeout(0.05)
        while b"BYE" not in said:
            try:
                client.sendall(b"a")
                said += client.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:  # it was closed before this octet came: what it said can still be read
                said += rest(client)
                break
        assert said.endswith(b"* BYE Idle for too long\r\n")


def test_t_imap_15_octets_of_a_message_that_trickle_in_do_not_keep_its_room(start: Start) -> None:
    server = start(ImapSettings(patience=replace(ImapSettings().patience, command_s=0.5)))
    with server.secure() as client:
        client.sendall(LOGIN + b"b APPEND INBOX {900000+}\r\n")
        said = read_until(client, b"a OK")
        client.settimeout(0.05)
        for _ in range(1000):
            try:
                client.sendall(b"x")
                said += client.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if b"BYE" in said:
                break
        assert said.endswith(b"* BYE Idle for too long\r\n")


def test_a_message_that_comes_slowly_and_steadily_is_taken(start: Start) -> None:
    server = start(ImapSettings(patience=replace(ImapSettings().patience, command_s=0.5, data_octets_per_s=100.0)))
    with server.secure() as client:
        client.sendall(LOGIN)
        read_until(client, b"a OK")
        client.sendall(b"b APPEND INBOX {%d+}\r\n" % len(MESSAGE))
        client.settimeout(0.1)
        for at in range(0, len(MESSAGE), 20):
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.sendall(MESSAGE[at : at + 20])
        client.settimeout(60)
        client.sendall(b"\r\n")
        assert b"b OK" in read_until(client, b"b ")


def test_a_silent_session_is_ended(start: Start) -> None:
    server = start(ImapSettings(idle_s=0.3))
    with server.secure() as client:
        client.sendall(LOGIN)
        assert rest(client).endswith(b"* BYE Idle for too long\r\n")


def test_an_idling_session_is_ended_too(start: Start) -> None:
    server = start(ImapSettings(idle_s=0.3))
    with server.secure() as client:
        client.sendall(LOGIN + b"b IDLE\r\n")
        assert rest(client).endswith(b"+ idling\r\n* BYE Idle for too long\r\n")


def test_connections_of_one_address_are_counted(start: Start) -> None:
    server = start(admission=Admission(AdmissionLimits(per_address=2)))
    with server.raw() as first, server.raw() as second, server.raw() as third:
        assert first.recv(5) == second.recv(5) == b"* OK "
        assert rest(third) == b"* BYE Too many connections from your address\r\n"
        first.sendall(b"a LOGOUT\r\n")
        rest(first)
    with server.raw() as fourth:
        assert fourth.recv(5) == b"* OK "


def test_t_imap_09_a_client_that_does_not_read_is_given_up(start: Start) -> None:
    server = start(ImapSettings(write_s=0.3, output_octets=64 * 1024))
    large = MESSAGE + (b"x" * 76 + b"\r\n") * 12_000
    for _ in range(12):
        server.deliver(large)
    with server.secure() as client:
        client.sendall(LOGIN + b"b SELECT INBOX\r\n" + b"c FETCH 1:* BODY.PEEK[]\r\n" * 20)
        server.until_alone()
        octets = 0
        try:
            while more := client.recv(1 << 20):
                octets += len(more)
        except OSError:
            pass
        assert octets < 12 * len(large) * 20


def test_curl_reads_lists_and_appends(start: Start) -> None:
    server = start()
    server.deliver()
    url = f"imaps://127.0.0.1:{server.tls_port}"

    def curl(*arguments: str) -> bytes:
        common = ["curl", "-sS", "--cacert", str(server.folder / "c.pem"), "--user", 'bob@example.org:pass "word"']
        return subprocess.run([*common, *arguments], check=True, capture_output=True, timeout=60).stdout

    assert curl(f"{url}/INBOX;UID=1") == MESSAGE
    assert curl(f"{url}/INBOX;UID=1;SECTION=TEXT") == b"hello there\r\n"
    assert b'* LIST (\\HasNoChildren \\Junk) "/" "Junk"' in curl(f"{url}/")
    assert curl(f"{url}/INBOX?SUBJECT%20first").strip() == b"* SEARCH 1"
    message = server.folder / "m.eml"
    message.write_bytes(MESSAGE)
    curl("-T", str(message), f"{url}/Archive")
    assert curl(f"{url}/Archive;UID=1") == MESSAGE
    assert b"\\Deleted" in curl(f"{url}/INBOX", "-X", "UID STORE 1 +FLAGS (\\Deleted)")
    curl(f"{url}/INBOX", "-X", "EXPUNGE")
    assert re.search(rb"MESSAGES 0", curl(f"{url}/", "-X", "STATUS INBOX (MESSAGES)"))


def test_curl_with_starttls(start: Start) -> None:
    server = start()
    server.deliver()
    command = ["curl", "-sS", "--ssl-reqd", "--cacert", str(server.folder / "c.pem"), "--user", 'bob@example.org:pass "word"']
    done = subprocess.run(
        [*command, f"imap://127.0.0.1:{server.plain_port}/INBOX;UID=1"], check=True, capture_output=True, timeout=60
    )
    assert done.stdout == MESSAGE


def test_authenticate_with_a_continuation_over_tls(start: Start) -> None:
    server = start()
    with server.secure() as client:
        client.sendall(b"a AUTHENTICATE PLAIN\r\n")
        read_until(client, b"+ \r\n")
        client.sendall(base64.b64encode(b'\x00bob@example.org\x00pass "word"') + b"\r\nb NOOP\r\n")
        assert b"a OK [CAPABILITY" in read_until(client, b"b OK")


def test_shutdown_ends_idle_with_bye(start: Start) -> None:
    server = start()
    with server.secure() as client:
        client.sendall(LOGIN + b"b IDLE\r\n")
        read_until(client, b"+ idling\r\n")
        server.close()
        assert rest(client).endswith(b"* BYE Server is shutting down\r\n")
