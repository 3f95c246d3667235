"""A rehearsal on stored mail comes to what a run at delivery comes to, and to what Dovecot does: the same table of scripts."""

from datetime import UTC, datetime
from pathlib import Path

from mailward.app.alone import config_of_nothing
from mailward.app.scripts import opened_account, rehearsal
from mailward.directory import Directory
from mailward.formats.address import parse_mailbox
from mailward.store.ops import Append
from support.sieve import MESSAGE, told
from support.sieve_cases import CASES

OF_ITS_ENVELOPE = {"envelope to", "RFC 5233: :detail"}
"""Where the address has a detail, which nobody wrote down at delivery."""


def test_stored_mail_meets_a_script_as_it_does_at_delivery(tmp_path: Path) -> None:
    config = config_of_nothing(tmp_path)
    directory = Directory(config.directory_file)
    directory.add_domain("example.org")
    directory.add_account(parse_mailbox("owner@example.org"))
    account = directory.account(parse_mailbox("owner@example.org"))
    assert account is not None
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
    directory.close()
