"""What somebody sees who watches a connection: everything but credentials and content."""

import pytest

from support.smtp_machine import Client, machine

SECRET = "AGFsaWNlAHNlY3JldA=="
"""alice, secret."""


class Watcher:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.content_octets = 0

    def client_says(self, text: str) -> None:
        self.seen.append(f"C: {text}")

    def server_says(self, text: str) -> None:
        self.seen.append(f"S: {text}")

    def content_comes(self, octets: int) -> None:
        self.content_octets += octets


def watched(listener: str = "mx") -> tuple[Client, Watcher]:
    client, watcher = Client(machine(listener)), Watcher()
    client.machine.watcher = watcher
    return client, watcher


def test_commands_and_replies_are_seen_and_content_is_counted() -> None:
    client, watcher = watched()
    client.send(b"EHLO c.example.net\r\n")
    assert watcher.seen[0] == "C: EHLO c.example.net" and watcher.seen[1] == "S: 250-mx.example.org"
    watcher.seen.clear()
    client.send(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n")
    client.send(b"BDAT 14\r\nSubject: mine\nBDAT 5 LAST\r\n12345")
    client.send(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<nobody@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
    client.send(b"Subject: mine\r\n\r\n" + b"x" * 100 + b"\r\n.\r\nQUIT\r\n")
    assert not any("mine" in line or "12345" in line for line in watcher.seen)
    assert watcher.content_octets == 14 + 5 + 17 + 102 + 3
    assert "S: 550 5.1.1 No such mailbox here" in watcher.seen
    assert watcher.seen[-2:] == ["C: QUIT", "S: 221 2.0.0 Goodbye"]


LOGINS = [
    [f"AUTH PLAIN {SECRET}"],
    ["AUTH PLAIN", SECRET],
    ["auth   plain  " + SECRET],
    ["AUTH LOGIN", "YWxpY2U=", "c2VjcmV0"],
    ["AUTH LOGIN YWxpY2U=", "c2VjcmV0"],
    ["AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=", "Yz1iaXdzLHI9", "*"],
    ["AUTH PLAIN", "not base64 secret", SECRET],
    ["AUTH NONSENSE " + SECRET, SECRET],
    [SECRET],
    ["PASS secret"],
    ["AUTH PLAIN\t" + SECRET],
    ["AUTH " + SECRET],
    ["AUTH PLAIN=" + SECRET],
    ["AUTH\tPLAIN " + SECRET],
    ["AUTHPLAIN " + SECRET],
    ["AUTH PLAIN " + SECRET, "AUTH PLAIN " + SECRET],
]


@pytest.mark.parametrize("lines", LOGINS, ids=lambda lines: lines[0].split()[0] + str(len(lines)) + lines[0][-6:])
@pytest.mark.parametrize("listener", ["submissions", "submission", "mx"])
def test_t_auth_nothing_of_a_login_is_seen_however_it_comes(lines: list[str], listener: str) -> None:
    for size in (1, 2, 7, 1000):
        client, watcher = watched(listener)
        client.send(b"EHLO c.example.net\r\n")
        for line in lines:
            octets = f"{line}\r\n".encode()
            for at in range(0, len(octets), size):
                client.send(octets[at : at + size])
        for secret in (SECRET, "c2VjcmV0", "YWxpY2U=", "secret", "biws", "Yz1iaXdz"):
            assert not any(secret in line for line in watcher.seen), watcher.seen
        assert not any(line.startswith("S: 334 ") and line != "S: 334 <hidden>" for line in watcher.seen)


def test_t_smtp_30_nothing_that_is_seen_acts() -> None:
    client, watcher = watched()
    client.send(b"EHLO \x1b[2J\x07\r\nHELP \x9b31m\xe2\x80\xae\r\nMAIL FROM:<" + b"a" * 1500 + b">\r\n")
    assert all(line.isprintable() for line in watcher.seen)
    assert "C: EHLO \\x1b[2J\\x07" in watcher.seen
    assert max(map(len, watcher.seen)) < 1100


def test_what_is_no_command_is_counted() -> None:
    client, watcher = watched()
    client.send(b"EHLO c.example.net\r\n")
    client.send(b"hunter2\r\n")
    client.send(b"GET / HTTP/1.1\r\n")
    assert [line for line in watcher.seen if line.startswith("C: ")][1:] == [
        "C: <7 octets that are no command>",
        "C: GET / HTTP/1.1",
    ]
