"""Mail that a script redirects to an alias goes where the alias leads, once to each mailbox and never in a circle."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailward.directory.aliases import Alias
from mailward.model.address import Address
from mailward.services.hourly import HourlyLimits
from support.scripts import OCTETS, Place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path, accounts=HourlyLimits(recipients=20))
    yield made
    await made.end()


def alias(place: Place, name: str, *targets: str, owner: str = "", members_only: bool = False) -> None:
    ends = tuple(Address(*target.split("@")) for target in targets)
    address = Address(name, "example.org")
    place.directory.aliases[name] = Alias(address, ends, Address(owner, "example.org") if owner else None, members_only)


async def test_every_end_gets_one_copy_and_the_owner_keeps_his(place: Place) -> None:
    alias(place, "team", "ann@example.org", "bob@example.org", "c@example.com", "core@example.org")
    alias(place, "core", "bob@example.org", "d@example.com")
    place.script('redirect "team@example.org";')
    item = await place.deliver()
    (kept,), (got,), (leaving,) = place.contents("INBOX"), place.contents("INBOX", "bob"), place.leaving()
    assert b"Delivered-To" not in kept
    assert got.startswith(b"Return-Path: <a@example.net>\r\n") and got.endswith(OCTETS)
    assert b"Delivered-To: ann@example.org\r\n" in got and b"Delivered-To: team@example.org\r\n" in got
    assert [one.forward_path for one in leaving.recipients if one.route == "relay"] == ["c@example.com", "d@example.com"]
    assert leaving.reverse_path_of(1).startswith("SRS0=") and leaving.reverse_path_of(1).endswith("@example.org")
    assert place.told(item)[-1].startswith(
        f"delivered to INBOX, by line 1 of the script main; redirected to team@example.org as {leaving.id}"
    )


async def test_who_is_reached_by_two_redirects_gets_one_copy(place: Place) -> None:
    alias(place, "team", "bob@example.org", "c@example.com")
    place.script(
        'redirect "bob@example.org"; redirect "team@example.org"; redirect "C@example.com"; redirect "bob+x@example.org";'
    )
    item = await place.deliver()
    assert len(place.contents("INBOX", "bob")) == 1 and place.contents("INBOX") == []
    assert [one.forward_path for item in place.leaving() for one in item.recipients] == ["c@example.com"]
    assert "bob+x@example.org has it already" in place.told(item)[-1]


async def test_what_a_list_sends_on_for_a_script_is_its_owners(place: Place) -> None:
    alias(place, "list", "c@example.com", owner="bob")
    place.script('redirect "list@example.org";')
    await place.deliver()
    assert place.leaving()[0].reverse_path_of(0) == "bob@example.org"


async def test_a_list_of_members_only_takes_nothing_of_others_by_way_of_a_script(place: Place) -> None:
    alias(place, "board", "c@example.com", "bob@example.org", members_only=True)
    place.script('redirect "board@example.org";')
    item = await place.deliver()
    assert place.leaving() == [] and len(place.contents("INBOX")) == 1
    assert place.told(item)[0].endswith("not redirected to board@example.org, since only its members may send there")
    await place.deliver(reverse_path="bob@example.org", origin="submission")
    assert len(place.leaving()) == 1 and len(place.contents("INBOX", "bob")) == 1


async def test_t_relay_15_members_who_send_all_mail_to_their_list_end_with_a_copy_each(place: Place) -> None:
    place.directory.names = ("ann", "bob", "cid", "dan")
    alias(place, "team", *(f"{name}@example.org" for name in place.directory.names))
    for name in place.directory.names:
        place.script('redirect "team@example.org";', name)
    await place.deliver()
    assert [len(place.contents("INBOX", name)) for name in place.directory.names] == [1, 1, 1, 1]


async def test_t_imap_20_an_alias_of_very_many_is_not_for_scripts(place: Place) -> None:
    alias(place, "all", *(f"{number}@example.com" for number in range(101)))
    place.script('redirect "all@example.org";')
    item = await place.deliver()
    assert place.leaving() == [] and place.told(item)[0].endswith("since it leads to more than 100 mailboxes")


async def test_t_imap_20_each_end_counts_as_a_recipient_of_the_owner(place: Place) -> None:
    alias(place, "many", *(f"{number}@example.com" for number in range(15)))
    place.script('redirect "many@example.org";')
    for _ in range(2):
        await place.deliver()
    assert len(place.leaving()) == 1 and len(place.contents("INBOX")) == 1
