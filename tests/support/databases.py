"""The small databases, changed step by step, each step durable when it has ended: for the tests of power cuts.

`python -m support.databases FOLDER JOURNAL`, with power.so preloaded, prints for each step how long the journal is behind it.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from mailward.decisions import DecisionStore
from mailward.decisions.retro import Order, Retro, RetroLog, RetroNumber
from mailward.directory import Alias, AppPassword, CredentialStore, Directory
from mailward.disk import Disk
from mailward.formats.address import parse_mailbox
from mailward.lists import ListStore, Remark
from mailward.model.ids import QueueId
from mailward.model.proof import ScramKeys
from mailward.quarantine import Held, Quarantine
from mailward.services.kv import SqliteKeyValue
from support.spooling import NOW, item_for

AT = "2026-03-01T12:00:00.000Z"
OCTETS = b"Subject: kept\r\n\r\nby the quarantine\r\n"
PHONE = AppPassword("id1", "phone", b"d" * 32, ScramKeys(b"s" * 32, b"k" * 32), ("imap",), datetime(2026, 3, 1, tzinfo=UTC))
ONE, TWO = (parse_mailbox(f"{name}@a.test") for name in ("one", "two"))
ORDER = Order("an admin", "inbound", "true", "", "tag", "$Phishing")
BOTH = (parse_mailbox("one@a.test"), parse_mailbox("two@a.test"))


def quarantined(number: int) -> Held:
    return Held(f"key{number}", QueueId(f"id{number}"), number, "one@a.test", "a test", AT, len(OCTETS), kept_at=AT)


def steps(folder: Path) -> Iterator[Callable[[], object]]:
    """What is done one after another, by one process after another that opens the files and closes them."""
    with closing(Directory(folder / "directory.sqlite")) as directory:
        yield lambda: directory.add_domain("a.test")
        yield lambda: directory.add_account(ONE)
        yield lambda: directory.add_account(TWO)
    with (
        closing(CredentialStore(folder / "directory.sqlite")) as credentials,
        closing(Directory(folder / "directory.sqlite")) as directory,
    ):
        account = directory.resolve(ONE)
        assert account is not None
        yield lambda: credentials.set_password(account, "a hash", None)
        yield lambda: credentials.add_app_password(account, PHONE)
        yield lambda: directory.add_alias(Alias(parse_mailbox("all@a.test"), BOTH))
        yield lambda: credentials.set_password(account, "another hash", None)
        yield lambda: credentials.revoke_app_password(account, "phone")
        yield lambda: directory.remove_alias(parse_mailbox("all@a.test"))
    with closing(SqliteKeyValue(folder / "plugin.sqlite")) as kept:
        for number in range(8):  # a plugin's lessons, which a power cut may cost, and codes that are used once
            lessons = {b"lesson%d" % n: b"x" * 3000 for n in range(number * 40, number * 40 + 40)}
            asyncio.run(kept.put_many(lessons))
            old = b"%d" % (number - 1) if number else None
            yield lambda old=old, new=b"%d" % number: asyncio.run(kept.change(b"code", old, new))  # type: ignore[misc]
    for released in ("key1", "key2"):
        with (
            closing(Quarantine(folder / "quarantine", Disk())) as quarantine,
            closing(DecisionStore(folder / "decisions.sqlite")) as decisions,
        ):
            for number in range(3):
                decisions.add_refused(item_for(b"", 1).decision)
                item = item_for(OCTETS, 1, queue_id=QueueId(f"id{number}"))
                yield lambda item=item: decisions.add(item.decision)  # type: ignore[misc]
                yield lambda number=number: quarantine.add(quarantined(number), OCTETS)  # type: ignore[misc]
            yield lambda released=released: quarantine.begin_release(released, "one@a.test")  # type: ignore[misc]
            yield lambda released=released: quarantine.end(released, how="released", now=NOW)  # type: ignore[misc]
    with closing(RetroLog(folder / "retro.sqlite")) as log:
        retro = Retro(RetroNumber(1), AT, ORDER)
        yield lambda: log.begin(ORDER, NOW)
        yield lambda: log.begin_item(retro, QueueId("id0"), "one@a.test", "account", "key0", "{}")
        yield lambda: log.undone(retro, NOW)
    lists = ListStore(folder / "lists.sqlite")
    yield lambda: lists.put("blocked", "domain", ["a.test", "b.test"], Remark("an admin", NOW))
    yield lambda: lists.remove("blocked", ["a.test"], Remark("an admin", NOW))


def state(folder: Path) -> Mapping[str, object]:
    """What the databases say, opened anew."""
    with (
        closing(Directory(folder / "directory.sqlite")) as directory,
        closing(CredentialStore(folder / "directory.sqlite")) as credentials,
    ):
        found = {str(one.address): credentials.of(one.id) for one in directory.accounts()}
        said: dict[str, object] = {
            "domains": directory.domains(),
            "passwords": {name: credential.password_hash for name, credential in found.items()},
            "app passwords": {name: [one.name for one in credential.app_passwords] for name, credential in found.items()},
            "aliases": [alias.name for alias in directory.aliases()],
        }
    with closing(SqliteKeyValue(folder / "plugin.sqlite")) as kept:
        said["code"] = asyncio.run(kept.get_many([b"code"]))
    with closing(Quarantine(folder / "quarantine", Disk())) as quarantine:
        said["quarantine"] = [(held.delivery_key, quarantine.read(held.delivery_key)) for held in quarantine.list()]
    with closing(DecisionStore(folder / "decisions.sqlite")) as decisions:
        said["decisions"] = [number for number in range(3) if decisions.get(QueueId(f"id{number}"))]
    with closing(RetroLog(folder / "retro.sqlite")) as log:
        actions = [one for one in (log.get(RetroNumber(1)),) if one is not None]
        said["retro"] = [(one.undone_at, [item.id for item in log.items(one.number)]) for one in actions]
    lists = ListStore(folder / "lists.sqlite")
    said["lists"] = sorted(entry.value for entry in lists.entries("blocked", NOW, 10))
    return said


if __name__ == "__main__":
    journal = Path(sys.argv[2])
    for step in steps(Path(sys.argv[1])):
        step()
        print(journal.stat().st_size, flush=True)
