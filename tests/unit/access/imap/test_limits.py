"""How much of everything a client may have and ask for, and what it is told beyond that."""

import pytest

from mailward.store import mailboxes
from support.imap import Client, Office


async def test_an_account_has_so_many_mailboxes_and_subscriptions_and_no_more(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailboxes, "MAX_MAILBOXES", 8)
    monkeypatch.setattr(mailboxes, "MAX_SUBSCRIPTIONS", 8)
    client = await Client(office).login()
    await client.ok("CREATE one")
    for command in ("CREATE two/below", "RENAME one new/level/one"):
        assert (await client.command(command))[-1].startswith(b"NO [LIMIT] There are 8 already")
    await client.ok("CREATE two")
    await client.ok("RENAME two three")
    assert (await client.command("RENAME INBOX four"))[-1].startswith(b"NO [LIMIT]")
    assert {b"one", b"three"} == {line.split(b'"')[-2] for line in await client.ok('LIST "" *')} - {
        *(b"INBOX", b"Archive", b"Drafts", b"Junk", b"Sent", b"Trash")
    }
    for command in ("SUBSCRIBE one", "SUBSCRIBE nowhere", "SUBSCRIBE nowhere", "UNSUBSCRIBE Junk", "SUBSCRIBE two"):
        await client.ok(command)
    assert (await client.command("SUBSCRIBE Junk"))[-1].startswith(b"NO [LIMIT]")
    await client.close()
