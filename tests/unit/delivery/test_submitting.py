"""Mail of plugins: into the queue, once for each key, whatever is repeated."""

from datetime import timedelta
from pathlib import Path

import pytest

from mailward.api import Submit
from mailward.delivery.submitting import OwnMail
from mailward.model.decision import DecisionRecord
from mailward.model.ids import QueueId
from support.relaying import SENDER, Office
from support.smtp_peer import Peer, peer

OCTETS = b"From: <r@example.org>\r\nSubject: report\r\n\r\nbody\r\n"


class Known:
    """The decision records of an office."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def get(self, id: QueueId) -> DecisionRecord | None:
        return self._office.ledger.records.get(id)


def submit_of(office: Office, plugin: str = "tlsrpt") -> Submit:
    return OwnMail(office.spool, office.agenda, office.directory, Known(office), office.clock).of_plugin(plugin)


def made(folder: Path, **routes: Peer) -> Office:
    return Office(folder, {f"{name}.test": one for name, one in routes.items()})


async def test_it_leaves_from_the_null_reverse_path_and_nobody_is_to_hear_of_it(tmp_path: Path) -> None:
    with peer() as near:
        office = made(tmp_path, near=near)
        assert await submit_of(office)("r@near.test", OCTETS, key="1", tls_optional=True)
        await office.work()
        (taken,) = near.taken
        assert taken.octets == b"X-Signed: yes\r\n" + OCTETS and taken.reverse_path == ""
        (asked,) = office.rules.asked
        assert (asked.origin, asked.tls_optional) == ("server", True)
        assert not office.spool.ids() and office.reports() == []
        await office.close()


async def test_of_each_key_of_a_plugin_there_is_one_message_ever(tmp_path: Path) -> None:
    with peer() as near:
        office = made(tmp_path, near=near)
        assert await submit_of(office)("r@near.test", OCTETS, key="1")
        assert not await submit_of(office)("r@near.test", OCTETS, key="1")  # it waits in the spool
        await office.work()
        assert not await submit_of(office)("r@near.test", OCTETS, key="1")  # it has left
        assert await submit_of(office, "other")("r@near.test", OCTETS, key="1")
        assert await submit_of(office)("r@near.test", OCTETS, key="2")
        await office.work()
        assert len(near.taken) == 3
        await office.close()


async def test_it_waits_for_its_moment(tmp_path: Path) -> None:
    with peer() as near:
        office = made(tmp_path, near=near)
        await submit_of(office)("r@near.test", OCTETS, key="1", not_before=office.clock.now() + timedelta(hours=2))
        await office.work()
        assert near.taken == []
        await office.later(2 * 3600.0 + 60)
        assert len(near.taken) == 1
        await office.close()


async def test_one_that_nobody_takes_is_dropped_in_silence(tmp_path: Path) -> None:
    with peer({"RCPT": b"550 5.1.1 nobody\r\n"}) as near:
        office = made(tmp_path, near=near)
        await submit_of(office)("r@near.test", OCTETS, key="1")
        await office.work()
        assert not office.spool.ids() and office.reports() == []
        await office.close()


async def test_a_mailbox_here_gets_it_and_what_is_no_address_does_not(tmp_path: Path) -> None:
    office = made(tmp_path)
    assert await submit_of(office)(SENDER, OCTETS, key="1")
    (id,) = office.spool.ids()
    (recipient,) = office.spool.item(id).recipients
    assert (recipient.route, recipient.account) == ("mailbox", "ann")
    for wrong in ("nobody@example.org", "no address", "a@b@c", ""):
        with pytest.raises(ValueError):
            await submit_of(office)(wrong, OCTETS, key="2")
    await office.close()
