"""Unique-ids: they stay, are never used again, and those of another server are kept where clients can read them (RFC 1939
section 7)."""

from mailward.model.ids import Uid
from mailward.store.ops import Append, Copy, Expunge
from support.pop3 import FIVE, Client, Office, numbered
from support.storecheck import RECEIVED_AT


async def test_unique_ids_stay_and_are_never_used_again(office: Office) -> None:
    office.deliver(*FIVE)
    first = await Client(office).login()
    before = numbered(await first.lines("UIDL"))
    for number in (1, 5):
        await first.command(f"DELE {number}")
    await first.command("QUIT")
    office.deliver(*FIVE)
    after = numbered(await (await Client(office).login()).lines("UIDL"))
    assert list(after.values())[:3] == [before[2], before[3], before[4]]
    every = {*before.values(), *after.values()}
    assert len(every) == 10
    assert all(len(unique_id) <= 70 and unique_id.isascii() and unique_id.isprintable() for unique_id in every)


async def test_mail_that_was_moved_in_keeps_its_unique_ids_and_no_two_are_the_same(office: Office) -> None:
    store = office.account()
    inbox = store.mailbox("INBOX")
    ours = f"{inbox.uidvalidity:08x}{5:08x}"
    moved = ["UID3-1199999999", None, "UID3-1199999999", ours, None]
    store.apply([Append(inbox.id, octets, RECEIVED_AT, pop3_uidl=id) for octets, id in zip(FIVE, moved, strict=True)])
    unique_ids = numbered(await (await Client(office).login()).lines("UIDL"))
    assert [unique_ids[1], unique_ids[5]] == ["UID3-1199999999", ours]
    assert len({*unique_ids.values()}) == 5


async def test_a_unique_id_of_mail_that_is_gone_passes_to_no_other_message(office: Office) -> None:
    """Two servers from which mail was moved in may both count from 1 (RFC 1939 section 7)."""
    account = office.account()
    inbox, trash = account.mailbox("INBOX").id, account.mailbox("Trash").id

    async def told() -> list[str]:
        client = await Client(office).login()
        unique_ids = numbered(await client.lines("UIDL"))
        await client.command("QUIT")
        return [*unique_ids.values()]

    account.apply([Append(inbox, octets, RECEIVED_AT, pop3_uidl="1") for octets in FIVE[:2]])
    first, second = await told()
    assert first == "1" != second
    account.apply([Expunge(inbox, (Uid(1),))])
    assert await told() == [second]
    account.apply([Append(inbox, octets, RECEIVED_AT, pop3_uidl=id) for octets, id in ((FIVE[2], "1"), (FIVE[3], "2"))])
    account.apply([Copy(inbox, (Uid(4),), trash, move=True)])
    account.apply([Append(inbox, FIVE[4], RECEIVED_AT, pop3_uidl="2")])
    found = await told()
    assert found[0] == second and len(found) == 3 and not {"1", "2"} & {*found}


async def test_a_unique_id_of_another_server_that_no_client_could_read_is_not_told(office: Office) -> None:
    account = office.account()
    inbox = account.mailbox("INBOX").id
    theirs = ("good-1", "two words", "", "x" * 71, "\xfc", "a\r\n.", "good-1")
    account.apply([Append(inbox, FIVE[0], RECEIVED_AT, pop3_uidl=one) for one in theirs])
    client = await Client(office).login()
    told = numbered(await client.lines("UIDL"))
    assert told[1] == "good-1" and len(set(told.values())) == len(theirs)
    assert all(len(unique_id) <= 70 and unique_id.isascii() and unique_id.isprintable() for unique_id in told.values())
