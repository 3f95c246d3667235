"""Scripts that ask the admin's lists, with real ones: what is on them by which entries, and until when."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailward.database import Database
from mailward.lists import Remark
from mailward.lists import store as store_module
from mailward.policy.entries import ListType
from support.scripts import OCTETS, Place, to

NOW = datetime(2026, 1, 9, tzinfo=UTC)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path, lists={f"tag:example.org,2026:{name}": name for name in ("people", "firms", "nets", "words", "team")})
    yield made
    await made.end()


def put(place: Place, name: str, type: ListType, *values: str, ends_after: timedelta | None = None) -> None:
    now = place.clock.now()
    place.kept_lists.put(name, type, values, Remark("admin", now), None if ends_after is None else now + ends_after)


async def filed(place: Place, test: str, octets: bytes = OCTETS) -> bool:
    place.script(f'require ["extlists", "fileinto", "envelope", "variables"]; if {test} {{ fileinto "Archive"; }}')
    before = len(place.contents("Archive"))
    await place.deliver(octets, to(), reverse_path="a@example.net")
    return len(place.contents("Archive")) > before


@pytest.mark.parametrize(
    ("name", "type", "entry", "test"),
    [
        ("people", "address", "a@example.net", 'envelope :list "from" "tag:example.org,2026:people"'),
        ("people", "address", "a@example.net", 'header :list "from" "tag:example.org,2026:people"'),
        ("firms", "domain", ".net", 'address :domain :list "from" "tag:example.org,2026:firms"'),
        ("nets", "network", "192.0.2.0/24", 'string :list "192.0.2.7" "tag:example.org,2026:nets"'),
        ("words", "text", "lunch", 'header :list "subject" "tag:example.org,2026:words"'),
    ],
)
async def test_a_list_is_asked_as_policies_ask_it(place: Place, name: str, type: ListType, entry: str, test: str) -> None:
    assert not await filed(place, test)
    put(place, name, type, entry)
    assert await filed(place, test)


async def test_an_entry_counts_until_its_end(place: Place) -> None:
    put(place, "people", "address", "a@example.net", ends_after=timedelta(days=1))
    asked = 'address :list "from" "tag:example.org,2026:people"'
    assert await filed(place, asked)
    place.clock.seconds += 2 * 86400
    assert not await filed(place, asked)


async def test_t_imap_20_a_list_that_is_not_for_scripts_is_not_there(place: Place) -> None:
    put(place, "secret", "address", "a@example.net")
    assert not await filed(place, 'valid_ext_list "tag:example.org,2026:secret"')
    assert not await filed(place, 'address :list "from" "tag:example.org,2026:secret"')
    assert len(place.contents("INBOX")) == 3  # both messages, and what the owner is told
    assert any(b"there is no list" in octets for octets in place.contents("INBOX"))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every database that reads or writes lists."""
    made: list[Path] = []

    def database(path: Path, *, schema: str, version: int) -> Database:
        made.append(path)
        return Database(path, schema=schema, version=version)

    monkeypatch.setattr(store_module, "Database", database)
    return made


@pytest.mark.parametrize("name", ["people", "words"])
async def test_t_imap_20_t_dos_07_a_mail_to_thousands_gets_past_no_filter(place: Place, opened: list[Path], name: str) -> None:
    """Looked up one by one, each with a connection of its own, they took more than all the time that a run has."""
    put(place, name, "address" if name == "people" else "text", "b@example.net")
    everybody = b",\r\n ".join(b"a%d@b.example" % number for number in range(1900))
    place.script(f'require "extlists"; if not address :list ["to", "cc"] "tag:example.org,2026:{name}" {{ discard; }}')
    opened.clear()
    await place.deliver(b"From: a@example.net\r\nTo: %b\r\nCc: %b\r\n\r\nHi\r\n" % (everybody, everybody))
    assert place.contents("INBOX") == []
    assert len(opened) == 1


async def test_t_imap_20_a_run_has_one_connection(place: Place, opened: list[Path]) -> None:
    """The parts of a message are as many as a stranger likes."""
    put(place, "words", "text", "second")
    part = b"--b\r\nContent-Description: %b\r\n\r\n\r\n"
    parts = b"".join(part % text for text in (b"first", b"\xff", b"second", b"third"))
    tested = 'header :mime :list "content-description" "tag:example.org,2026:words"'
    place.script(
        'require ["extlists", "mime", "foreverypart", "fileinto", "variables", "encoded-character"];'
        f'foreverypart {{ if {tested} {{ fileinto "Archive"; }} if string :list "${{hex:ff}}" "tag:example.org,2026:words" {{ stop; }} }}'
    )
    opened.clear()
    await place.deliver(b"From: a@example.net\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n")
    assert len(place.contents("Archive")) == 1
    assert len(opened) == 1


async def test_a_message_goes_once_to_each_on_a_list(place: Place) -> None:
    put(place, "team", "address", "c@example.com", "bob@example.org", "ann@example.org")
    place.script('require "extlists"; redirect :list "tag:example.org,2026:team";')
    await place.deliver()
    assert [one.forward_path for item in place.leaving() for one in item.recipients] == ["c@example.com"]
    assert len(place.contents("INBOX", "bob")) == len(place.contents("INBOX")) == 1
