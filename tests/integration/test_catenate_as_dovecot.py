"""CATENATE makes of the same URLs what a real Dovecot makes of them.

But for a part that the message does not have: that is a URL that fails (RFC 4469 section 4.1), and for Dovecot an empty part.
"""

import imaplib
from pathlib import Path

from support.dovecot import PASSWORD, USER, dovecot
from support.imap import Client, Office

DRAFT = (
    b"From: a@example.test\r\nSubject: draft\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: application/pdf\r\n\r\nlarge\r\n--b--\r\n"
)
URLS = (
    "/INBOX/;UID=1",
    "/inbox/;uid=1/;section=1",
    ";UID=1",
    ";UID=1/;SECTION=2.MIME",
    "/INBOX/;UID=1/;SECTION=TEXT/;PARTIAL=5",
    "/INBOX/;UID=1/;PARTIAL=6.14",
    "/INBOX/;UID=1/;SECTION=1/;PARTIAL=0.3",
    "/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(From)",
    "/INBOX/;UID=1/;SECTION=MIME",
    "/INBOX;UIDVALIDITY=1/;UID=1",
    "/INBOX/;UID=9",
    "/INBOX/;UID=0",
    "/INBOX/;SECTION=1/;UID=1",
    "/INBOX/;UID=1;URLAUTH=anonymous:internal:00",
    "/INBOX;UID=1",
    "INBOX/;UID=1",
    "/INBOX",
    "/;UID=1",
    "/Nowhere/;UID=1",
    "/INB%zz/;UID=1",
    "//mail.example.test/INBOX/;UID=1",
    "imap://mail.example.test/INBOX/;UID=1",
)


def theirs() -> list[bytes | None]:
    """The messages that become of the URLs, None where one is refused."""
    found: list[bytes | None] = []
    with dovecot() as server:
        client, reader = (imaplib.IMAP4("127.0.0.1", server.port) for _ in range(2))
        for each in (client, reader):
            each.login(USER, PASSWORD)
        client.append("INBOX", "", "", DRAFT)
        client.create("Made")
        client.select("INBOX")
        for url in URLS:
            client.send(b'c APPEND Made CATENATE (URL "%b")\r\n' % url.encode())
            while not (reply := client.readline()).startswith(b"c "):
                pass
            reader.select("Made")
            fetched = reader.fetch("*", "(BODY.PEEK[])")[1] if reply.startswith(b"c OK ") else [None]
            found.append(fetched[0][1] if isinstance(fetched[0], tuple) else None)
        for each in (client, reader):
            each.logout()
    return found


async def ours(office: Office) -> list[bytes | None]:
    found: list[bytes | None] = []
    client, reader = await Client(office).login(), await Client(office).login()
    await client.append("INBOX", DRAFT)
    await client.ok("CREATE Made")
    await client.ok("SELECT INBOX")
    for url in URLS:
        (tagged,) = await client.command(f'APPEND Made CATENATE (URL "{url}")')
        await reader.ok("SELECT Made")
        fetched = await reader.ok("FETCH * BODY.PEEK[]") if tagged.startswith(b"OK ") else []
        found.append(fetched[0][fetched[0].index(b"\r\n") + 2 : -1] if fetched else None)
    return found


async def test_urls_make_the_same_messages(tmp_path: Path) -> None:
    wanted, found = theirs(), await ours(Office(tmp_path))
    assert sum(octets is not None for octets in wanted) == 8, "the first eight are taken"
    assert dict(zip(URLS, found, strict=True)) == dict(zip(URLS, wanted, strict=True))
