"""A rehearsal on stored mail comes to what a run at delivery comes to, and to what Dovecot does: the same table of scripts."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailward.app.alone import config_of_nothing
from mailward.app.config import Config
from mailward.app.scripts import opened_account, rehearsal
from mailward.directory import Account, Directory
from mailward.formats.address import parse_mailbox
from mailward.sieve.actions import Vacation
from mailward.store.ops import Append
from support.sieve import MESSAGE, told
from support.sieve_cases import CASES

OF_ITS_ENVELOPE = {"envelope to", "RFC 5233: :detail"}
"""Where the address has a detail, which nobody wrote down at delivery."""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of_nothing(tmp_path)


@pytest.fixture
def account(config: Config) -> Account:
    with closing(Directory(config.directory_file)) as directory:
        directory.add_domain("example.org")
        directory.add_account(parse_mailbox("owner@example.org"))
        account = directory.account(parse_mailbox("owner@example.org"))
    assert account is not None
    return account


def test_stored_mail_meets_a_script_as_it_does_at_delivery(config: Config, account: Account) -> None:
    wrong = {}
    with opened_account(config, account) as store:
        store.apply([Append(store.mailbox("INBOX").id, MESSAGE, datetime(2026, 1, 9, tzinfo=UTC), ())])
        for case in CASES:
            (found,) = rehearsal(config, account, store, case.script.encode(), "INBOX", 10)
            if told(found.outcome) != case.actions:
                wrong[case.name] = (told(found.outcome), case.actions)
        script = b'require ["fileinto", "mailbox"]; fileinto "Sent"; fileinto "A.B"; fileinto :create "C";'
        (found,) = rehearsal(config, account, store, script, "INBOX", 10)
        assert found.missing == {"A.B"}
        assert len(store.view(store.mailbox("INBOX").id).uids) == 1
    assert set(wrong) == OF_ITS_ENVELOPE, wrong


@pytest.mark.parametrize(
    ("return_path", "reason"),
    [
        (b"", "its reverse-path is not known (no Return-Path)"),
        (b"Return-Path: <>\r\n", "it has the null reverse-path"),
        (b"Return-Path: <a@example.net>\r\n", ""),
    ],
)
def test_no_reply_is_withheld_for_what_is_not_so(config: Config, account: Account, return_path: bytes, reason: str) -> None:
    """Mail that was moved in may have no Return-Path, which is not the null one (RFC 5321 section 4.5.5)."""
    octets = return_path + b"From: a@example.net\r\nTo: owner@example.org\r\n\r\nHello\r\n"
    with opened_account(config, account) as store:
        store.apply([Append(store.mailbox("INBOX").id, octets, datetime(2026, 1, 9, tzinfo=UTC), ())])
        (found,) = rehearsal(config, account, store, b'require "vacation"; vacation "away";', "INBOX", 10)
    assert [action.withheld for action in found.outcome.actions if isinstance(action, Vacation)] == [reason]
