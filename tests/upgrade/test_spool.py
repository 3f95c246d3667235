"""Spools of earlier releases are taken over as they are; spools of later ones are left alone."""

import shutil
from pathlib import Path

from mailward.delivery.mda import Copy
from mailward.disk import Disk
from mailward.model.edits import AddHeader, PrefixSubject, RemoveFieldAt, RemoveHeader, ReplaceHeader, ReplacePart
from mailward.model.envelope import RcptParameters
from mailward.model.ids import QueueId
from mailward.queue.spool import Spool
from support.spooling import NOW

FIRST, SECOND = QueueId("01k9w3c5v7q2x8aa"), QueueId("01k9w3c5v7q2x8ab")


async def test_records_of_version_1_are_read(tmp_path: Path) -> None:
    """Written by the release before holds: a finished, a failed and a begun recipient, and one who killed three processes."""
    folder = tmp_path / "spool"
    shutil.copytree(Path(__file__).parent / "spool-1", folder)
    spool = Spool(folder, Disk(), owner="queue")
    adoption = spool.adopt()
    assert adoption.items == (FIRST, SECOND) and not adoption.reports
    assert spool.octets(SECOND) == b"Subject: old 1\r\n\r\nkept by release 1\r\n"
    first, second = spool.open_recipients(FIRST), spool.open_recipients(SECOND)
    assert {index: (s.route, s.failures, s.begun, s.held) for index, s in first.items()} == {
        1: ("mailbox", 1, 0, ""),
        2: ("mailbox", 0, 1, ""),
    }
    assert (first[1].text, first[1].next_at) == ("the store is not there", NOW.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
    assert [second[index].hold_reason for index in range(3)] == ["3 attempts ended with the process", "", ""]
    await spool.close()


async def test_items_of_version_2_are_read_with_their_edits(tmp_path: Path) -> None:
    """Written by the release before edits of one field and of parts."""
    folder = tmp_path / "spool"
    shutil.copytree(Path(__file__).parent / "spool-2", folder)
    spool = Spool(folder, Disk(), owner="queue")
    adoption = spool.adopt()
    (queue_id,) = adoption.items
    item = spool.item(queue_id)
    assert item.edits == (RemoveFieldAt(0), AddHeader("X-Score", "7.5 \u00fc"), RemoveHeader("X-Old"), PrefixSubject("[out] "))
    assert (item.user, item.smtputf8, item.recipients[1].destination) == ("ann@example.org", True, "relay")
    assert Copy(item, 0, spool.octets(queue_id)).render() == (
        b"Return-Path: <a@example.net>\r\nReceived: from a by b; Sun, 1 Mar 2026 12:00:00 +0000\r\n"
        b"X-Tag: own\r\nX-Score: =?utf-8?B?Ny41IMO8?=\r\nSubject: [out] old 2\r\n\r\nkept by release 2\r\n"
    )
    await spool.close()


async def test_items_of_version_3_are_read_as_those_of_senders_who_asked_nothing(tmp_path: Path) -> None:
    """Written by the release before DSN (RFC 3461)."""
    folder = tmp_path / "spool"
    shutil.copytree(Path(__file__).parent / "spool-3", folder)
    spool = Spool(folder, Disk(), owner="queue")
    (queue_id,) = spool.adopt().items
    item = spool.item(queue_id)
    assert (item.ret, item.envelope_id, [r.parameters for r in item.recipients]) == ("", "", [RcptParameters()] * 2)
    assert item.recipients[0].edits == (ReplaceHeader("Subject", "new", 1),) and item.user == "ann@example.org"
    assert item.edits == (ReplacePart("", "text/plain", b"gone\r\n"),)
    assert spool.octets(queue_id) == b"Subject: old 3\r\n\r\nkept by release 3\r\n"
    await spool.close()


async def test_items_of_version_4_are_read_as_those_of_senders_who_set_no_time(tmp_path: Path) -> None:
    """Written by the release before FUTURERELEASE (RFC 4865)."""
    folder = tmp_path / "spool"
    shutil.copytree(Path(__file__).parent / "spool-4", folder)
    spool = Spool(folder, Disk(), owner="queue")
    (queue_id,) = spool.adopt().items
    item = spool.item(queue_id)
    assert (item.ret, item.envelope_id, item.require_tls, item.user) == ("HDRS", "QQ+1", True, "ann@example.org")
    assert item.recipients[0].parameters == RcptParameters(("SUCCESS", "DELAY"), "rfc822;old@example.com")
    assert item.hold_until == "" and item.available_at == NOW
    assert spool.octets(queue_id) == b"Subject: old 4\r\n\r\nkept by release 4\r\n"
    await spool.close()


async def test_items_of_version_7_are_sorted_by_plugins_where_the_record_says_accept_and_names_no_folder(tmp_path: Path) -> None:
    """Written by the release before a recipient says so itself."""
    folder = tmp_path / "spool"
    shutil.copytree(Path(__file__).parent / "spool-7", folder)
    spool = Spool(folder, Disk(), owner="queue")
    (queue_id,) = spool.adopt().items
    item = spool.item(queue_id)
    assert {one.forward_path.partition("@")[0]: one.sortable for one in item.recipients} == {
        "ann+lists": True,
        "ann+sales": True,  # by an alias
        "ann+junk": False,
        "ann+bills": False,
        "ann+inbox": False,  # a rule named INBOX
        "ann+kept": False,
        "postmaster": False,  # judged by nobody
        "far": False,
    }
    assert spool.octets(queue_id) == b"Subject: old 7\r\n\r\nkept by release 7\r\n"
    await spool.close()
