"""Scripts that ask the admin's lists, with real ones: what is on them by which entries, and until when."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailward.lists import Remark
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


async def test_a_message_goes_once_to_each_on_a_list(place: Place) -> None:
    put(place, "team", "address", "c@example.com", "bob@example.org", "ann@example.org")
    place.script('require "extlists"; redirect :list "tag:example.org,2026:team";')
    await place.deliver()
    assert [one.forward_path for item in place.leaving() for one in item.recipients] == ["c@example.com"]
    assert len(place.contents("INBOX", "bob")) == len(place.contents("INBOX")) == 1
