"""CATENATE (RFC 4469): what URLs may name (RFC 5092), what comes of it, and what neither costs nor tells too much."""

import mmap
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.access.imap import catenating
from mailward.protocol.imap.urls import BadUrl, read_url
from mailward.store.account import EmbeddedAccount
from support.imap import APPEND_OCTETS, Client, Office
from support.sharing import Town

DRAFT = (
    b"From: a@example.test\r\nSubject: draft\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: application/pdf\r\n\r\nlarge\r\n--b--\r\n"
)


def text(octets: bytes) -> bytes:
    return b"TEXT {%d+}\r\n%b" % (len(octets), octets)


async def drafts(office: Office, name: str = "Drafts") -> tuple[Client, int]:
    """Somebody with one draft, and the UIDVALIDITY of its mailbox."""
    client = await Client(office).login()
    appended = await client.append(f'"{name}"', DRAFT)
    found = re.search(rb"APPENDUID (\d+) 1\]", appended)
    assert found is not None, appended
    return client, int(found[1])


async def octets_of(client: Client, mailbox: str, number: int) -> bytes:
    await client.ok(f'EXAMINE "{mailbox}"')
    (reply,) = await client.ok(f"FETCH {number} BODY.PEEK[]")
    return reply[reply.index(b"\r\n") + 2 : -1]


async def test_a_draft_is_changed_without_its_attachment_being_sent_again(office: Office) -> None:
    """As in RFC 4469 section 3, with REPLACE (RFC 8508 section 3.1)."""
    client, uidvalidity = await drafts(office)
    url = f"/Drafts;UIDVALIDITY={uidvalidity}/;UID=1/;SECTION="
    await client.ok("SELECT Drafts")
    replies = await client.ok(
        f"UID REPLACE 1 Drafts (\\Draft $MDNSent) CATENATE (URL {url}HEADER ".encode()
        + text(b"--b\r\nContent-Type: text/plain\r\n\r\nHello again\r\n--b\r\n")
        + f" URL {url}2.MIME URL {url}2 ".encode()
        + text(b"\r\n--b--\r\n")
        + b")"
    )
    assert f"* OK [APPENDUID {uidvalidity} 2] Replaced".encode() in replies
    assert b"* 1 EXPUNGE" in replies or b"* VANISHED 1" in replies
    assert await octets_of(client, "Drafts", 1) == DRAFT.replace(b"Hello", b"Hello again")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/INBOX/;UID=1", DRAFT),
        ("/inbox/;uid=1/;section=1", b"Hello"),
        ("/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(From)", b"From: a@example.test\r\n\r\n"),
        ("/INBOX/;UID=1/;SECTION=TEXT/;PARTIAL=5", DRAFT.partition(b"\r\n\r\n")[2][5:]),
        ("/INBOX/;UID=1/;PARTIAL=6.14", DRAFT[6:20]),
    ],
)
async def test_what_a_url_names(office: Office, url: str, expected: bytes) -> None:
    client, _ = await drafts(office, "INBOX")
    (tagged,) = await client.command(f'APPEND Sent CATENATE (URL "{url}")')
    assert tagged.startswith(b"OK [APPENDUID ")
    assert await octets_of(client, "Sent", 1) == expected
    await client.ok("SELECT INBOX")
    assert await client.ok("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Recent))"]


async def test_names_in_urls_are_utf_8_in_percents(office: Office) -> None:
    client = await Client(office).login()
    await client.ok('CREATE "Entw&APw-rfe/a;b c"')
    await client.append('"Entw&APw-rfe/a;b c"', DRAFT)
    (tagged,) = await client.command('APPEND INBOX CATENATE (URL "/Entw%C3%BCrfe/a%3Bb%20c/;UID=1")')
    assert tagged.startswith(b"OK ")


@pytest.mark.parametrize(
    "url",
    [
        "/Drafts;UIDVALIDITY=12345/;UID=1",
        "/Drafts/;UID=2",
        "/Drafts/;UID=1/;SECTION=1.5.9",
        "/Drafts/;UID=1/;SECTION=MIME",
        "/Drafts/;UID=1/;SECTION=HEADER%5D%20BODY%5B",
        "/Nowhere/;UID=1",
        "/Entw&APw-rfe/;UID=1",
        "/Drafts",
        ";UID=1",
        "/;UID=1",
        "/Drafts/;UID=0",
        "/Drafts/;UID=1;URLAUTH=anonymous:internal:91354a473744909de610943775f92038",
        "//mail.example.test/Drafts/;UID=1",
        "imap://mail.example.test/Drafts/;UID=1",
        "/Draf%zzts/;UID=1",
        "/a]b/;UID=1",
        "",
    ],
)
async def test_a_url_that_leads_nowhere_is_named_and_nothing_is_stored(office: Office, url: str) -> None:
    """RFC 4469 sections 4.1 and 5: the code has the URL, of no octet that would end the code."""
    client, _ = await drafts(office)
    for urls in (url, "/Drafts/;UID=1"), ("/Drafts/;UID=1", url):
        cat = b" ".join(b'CATENATE (URL "%b")' % each.encode() for each in urls)
        (tagged,) = await client.command(b"APPEND INBOX " + cat)
        assert tagged.startswith(b'NO [BADURL "%b"] ' % url.replace("]", "%5D").encode()), tagged
    assert b"* 0 EXISTS" in await client.ok("EXAMINE INBOX")


@pytest.mark.parametrize(
    "pieces", [b"", b"()", b"(URL)", b"(TEXT x)", b"(TEXT {1+}\r\nx", b"(TEXT ~{1+}\r\nx)", b"(UTF8 (~{1+}\r\nx))"]
)
async def test_bad_syntax(office: Office, pieces: bytes) -> None:
    client = await Client(office).login()
    assert (await client.command(b"APPEND INBOX CATENATE " + pieces))[-1].startswith(b"BAD ")


async def test_t_imap_19_utf_8_in_pieces_is_for_who_enabled_it(office: Office) -> None:
    """RFC 6855 section 4."""
    client = await Client(office).login()
    await client.ok("ENABLE UTF8=ACCEPT")
    header = "Subject: Grüße\r\n\r\n".encode()
    (tagged,) = await client.command(b"APPEND INBOX CATENATE (UTF8 (~{%d+}\r\n%b) TEXT {1+}\r\nx)" % (len(header), header))
    assert tagged.startswith(b"OK ")
    assert await octets_of(client, "INBOX", 1) == header + b"x"


async def test_t_dos_08_urls_of_one_command_have_an_end(office: Office) -> None:
    client, _ = await drafts(office)
    urls = " ".join(["URL /Drafts/;UID=1/;SECTION=1"] * (catenating.MAX_URLS + 1))
    assert (await client.command(f"APPEND INBOX CATENATE ({urls})"))[-1].startswith(b"NO [LIMIT]")


async def test_t_dos_08_a_message_is_read_once_however_often_a_command_names_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = await drafts(office)
    await client.append("Drafts", DRAFT.replace(b"Hello", b"Bye"))
    read: list[int] = []
    octets = EmbeddedAccount.octets

    def counted(store: EmbeddedAccount, message: int) -> bytes | mmap.mmap:
        read.append(message)
        return octets(store, message)

    monkeypatch.setattr(EmbeddedAccount, "octets", counted)
    urls = " ".join([f"URL /Drafts/;UID={uid}/;SECTION=1" for uid in (1, 2)] * (catenating.MAX_URLS // 2))
    assert (await client.command(f"APPEND INBOX CATENATE ({urls})"))[-1].startswith(b"OK ")
    assert len(read) == 2
    assert await octets_of(client, "INBOX", 1) == b"HelloBye" * (catenating.MAX_URLS // 2)


@pytest.mark.parametrize("section", ["1", "HEADER.FIELDS%20(From)"])
async def test_t_dos_08_what_one_command_looks_through_has_an_end(office: Office, section: str) -> None:
    client, large = await Client(office).login(), b"Subject: large\r\n\r\n".ljust(APPEND_OCTETS, b"x")
    for _ in range(catenating.MAX_WORK + 1):
        await client.append("INBOX", large)

    def cat(uids: list[int]) -> str:
        urls = " ".join(f'URL "/INBOX/;UID={uid}/;SECTION={section}/;PARTIAL=0.4"' for uid in uids)
        return f"APPEND Sent CATENATE ({urls})"

    uids = [*range(1, catenating.MAX_WORK + 2)]
    for some in [uids] if section == "1" else [uids[:5], [1] * 9]:
        assert (await client.command(cat(some)))[-1].startswith(b"NO [LIMIT] Too much would have to be looked through")
    assert (await client.command(cat(uids[:4])))[-1].startswith(b"OK ")


async def test_t_imap_15_a_few_urls_make_no_message_that_is_too_large(office: Office) -> None:
    client = await Client(office).login()
    half = b"x" * (APPEND_OCTETS // 2)
    await client.append("INBOX", half)
    for cat in (b"(%b URL /INBOX/;UID=1)" % text(half), b"(URL /INBOX/;UID=1 URL /INBOX/;UID=1)"):
        assert (await client.command(b"APPEND INBOX CATENATE " + cat))[-1].startswith(b"OK ")
    for cat in (
        b"(%b URL /INBOX/;UID=1)" % text(half + b"x"),
        b"(URL /INBOX/;UID=2) {1+}\r\nx",
        b"(URL /INBOX/;UID=2) CATENATE (URL /INBOX/;UID=1)",
    ):
        assert (await client.command(b"APPEND INBOX CATENATE " + cat))[-1].startswith(b"NO [TOOBIG]")
    assert b"* 3 EXISTS" in await client.ok("EXAMINE INBOX")


async def test_t_dos_06_what_urls_name_counts_as_what_is_sent(office: Office) -> None:
    client, _ = await drafts(office)
    other = (await Client(office).login()).session
    assert other.claim(2 * APPEND_OCTETS - len(DRAFT) + 1)
    assert (await client.command("APPEND INBOX CATENATE (URL /Drafts/;UID=1)"))[-1].startswith(b"NO [LIMIT]")
    other.give_back()
    for _ in range(3):
        assert (await client.command("APPEND INBOX CATENATE (URL /Drafts/;UID=1)"))[-1].startswith(b"OK ")
    assert other.claim(2 * APPEND_OCTETS - len(DRAFT) + 1)
    part = "URL /Drafts/;UID=1/;SECTION=1"
    assert (await client.command(f"APPEND INBOX CATENATE ({part} {part})"))[-1].startswith(b"OK "), "what comes of it counts"
    other.give_back()
    assert other.claim(2 * APPEND_OCTETS)


async def test_t_imap_14_mail_of_others_comes_by_a_url_only_where_it_can_be_read(tmp_path: Path) -> None:
    """With the same words for a mailbox that is hidden and for one that is not there (RFC 4314 section 6)."""
    town = Town(tmp_path)
    alice, bob = await town.log_in("alice"), await town.log_in("bob")
    await alice.append("INBOX", DRAFT)
    command = 'APPEND INBOX CATENATE (URL "/Other%20Users/alice@example.test/{}/;UID=1")'
    (nowhere,) = await bob.command(command.format("NOWHERE"))
    (hidden,) = await bob.command(command.format("INBOX"))
    assert hidden == nowhere.replace(b"NOWHERE", b"INBOX")
    for rights, answer in (("l", b'NO [BADURL "'), ("lr", b"OK ")):
        await alice.ok(f"SETACL INBOX bob@example.test {rights}")
        assert (await bob.command(command.format("INBOX")))[-1].startswith(answer)
    for client in (alice, bob):
        await client.close()
    town.directory.close()


@given(
    st.binary(max_size=80) | st.from_regex(rb"/[a-zA%/;=&-]{1,9}/;UID=[0-9]{1,12}(/;SECTION=[A-Z.0-9%]{0,9})?", fullmatch=True)
)
def test_t_imap_01_any_octets_are_a_url_of_a_message_or_none(octets: bytes) -> None:
    with suppress(BadUrl):
        url = read_url(octets)
        assert url.written == octets and url.uid and url.mailbox != ""
