"""The mail that commands open beside the server is held to the same limits."""

from contextlib import closing
from pathlib import Path

import pytest

from mailward.app.accounts import opened_store
from mailward.app.config_file import load_config
from mailward.directory import Directory
from mailward.model.address import Address
from mailward.model.limits import MailLimits
from mailward.store.refusals import OverQuota
from support.installation import installation
from support.storecheck import message
from support.stores import append


def test_what_a_command_stores_counts_against_the_quota(tmp_path: Path) -> None:
    config = load_config(installation(tmp_path))
    with closing(Directory(config.directory_file)) as directory:
        account = directory.account(Address("demo", "example.test"))
        assert account is not None
        directory.set_quota("account", account.id, MailLimits(messages=1))
    with opened_store(config) as store:
        mail = store.open(account.id)
        inbox = mail.mailbox("INBOX").id
        mail.apply([append(inbox, message(1))])
        with pytest.raises(OverQuota):
            mail.apply([append(inbox, message(2))])
