"""What keywords teach, and how much of it: RFC 9051 section 2.3.2 and IANA's registrations of $Junk and $NotJunk."""

import asyncio

import pytest

from mailward.access.imap.allowance import Allowance
from mailward.access.imap.desk import MAX_LESSONS_A_MINUTE
from mailward.model.ids import AccountId
from support.imap import Client, Office

MESSAGE = b"Subject: s\r\n\r\nbody\r\n"


async def told(office: Office, *commands: str, append: str = "") -> list[str]:
    """What plugins hear when one client sends these about one message."""
    client = await Client(office).login()
    await client.append("INBOX", MESSAGE, append)
    await client.ok("SELECT INBOX")
    for command in commands:
        await client.ok(command)
    await asyncio.gather(*office.desk.background)
    assert all((one.account, one.octets, one.by) == ("alice", MESSAGE, "keyword") for one in office.classified)
    assert not office.moves
    return [one.kind for one in office.classified]


@pytest.mark.parametrize(
    ("commands", "kinds"),
    [
        (["STORE 1 +FLAGS ($Junk)"], ["spam"]),
        (["UID STORE 1 +FLAGS.SILENT (Junk)"], ["spam"]),
        (["STORE 1 FLAGS (\\Seen $NotJunk)"], ["ham"]),
        (["STORE 1 +FLAGS NonJunk"], ["ham"]),
        (["STORE 1 +FLAGS (NotJunk)"], ["ham"]),
        (["STORE 1 +FLAGS ($jUNK)"], ["spam"]),
        (["STORE 1 +FLAGS ($Junk Junk)", "STORE 1 +FLAGS ($Junk)", "STORE 1 -FLAGS ($Junk)"], ["spam"]),
        (["STORE 1 +FLAGS ($Junk $NotJunk)"], []),
        (["STORE 1 +FLAGS ($Junk)", "STORE 1 +FLAGS (NonJunk)"], ["spam"]),
        (["STORE 1 +FLAGS (NonJunk)", "STORE 1 +FLAGS (Junk)", "STORE 1 -FLAGS (NonJunk)"], ["ham", "spam"]),
        (["STORE 1 +FLAGS ($Junk)", "STORE 1 FLAGS ($NotJunk)", "STORE 1 FLAGS ($Junk)"], ["spam", "ham", "spam"]),
        (["STORE 1 +FLAGS ($Junk)", "STORE 1 -FLAGS ($Junk)", "STORE 1 FLAGS ()"], ["spam"]),
        (["STORE 1 +FLAGS (\\Flagged $Forwarded)"], []),
        (["COPY 1 Archive", "SELECT Archive"], []),
    ],
)
async def test_keywords_that_a_client_stores_teach_what_is_new_of_them(
    office: Office, commands: list[str], kinds: list[str]
) -> None:
    assert await told(office, *commands) == kinds


async def test_appended_and_copied_keywords_teach_nothing(office: Office) -> None:
    assert await told(office, "COPY 1 Archive", "STORE 1 +FLAGS ($Junk)", append="($Junk) ") == []


async def test_t_plug_13_a_client_that_flips_a_keyword_is_learnt_from_so_often_a_minute(office: Office) -> None:
    office.desk.lessons.take(AccountId("alice"), MAX_LESSONS_A_MINUTE - 3)
    flips = [f"STORE 1 FLAGS ({keyword})" for keyword in ("$Junk", "$NotJunk") * 5]
    assert await told(office, *flips) == ["spam", "ham", "spam"]


async def test_t_plug_13_so_is_one_that_moves_messages_to_and_fro(office: Office) -> None:
    office.desk.lessons.take(AccountId("alice"), MAX_LESSONS_A_MINUTE - 1)
    client = await Client(office).login()
    await client.append("INBOX", MESSAGE)
    await client.ok("SELECT INBOX")
    for _ in range(3):
        await client.ok("COPY 1 Junk")
    await asyncio.gather(*office.desk.background)
    assert len(office.moves) == 1


def test_an_allowance_is_an_accounts_own_and_new_after_its_period() -> None:
    clock = [100.0]
    allowance = Allowance(1000, 60.0, lambda: clock[0])
    ann, bob = AccountId("ann"), AccountId("bob")
    assert allowance.take(ann, 100_000) == 1000
    clock[0] += 59
    assert (allowance.left(ann), allowance.take(ann, 1), allowance.take(bob, 1)) == (0, 0, 1)
    clock[0] += 1
    assert allowance.take(ann, 1) == 1
