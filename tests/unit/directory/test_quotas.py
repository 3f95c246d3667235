"""How much mail an account may hold: what was said for it, else for its domain."""

from pathlib import Path

import pytest

from mailward.directory import NO_LIMIT, Directory
from mailward.formats.address import parse_mailbox as at
from mailward.model.ids import AccountId
from mailward.model.limits import NO_LIMITS, MailLimits


@pytest.mark.parametrize(
    ("own", "domain", "expected"),
    [
        (NO_LIMITS, NO_LIMITS, NO_LIMITS),
        (NO_LIMITS, MailLimits(5, 6), MailLimits(5, 6)),
        (MailLimits(octets=1), MailLimits(5, 6), MailLimits(1, 6)),
        (MailLimits(octets=NO_LIMIT), MailLimits(5, 6), MailLimits(None, 6)),
        (MailLimits(NO_LIMIT, NO_LIMIT), MailLimits(5, 6), NO_LIMITS),
        (MailLimits(1, 2), NO_LIMITS, MailLimits(1, 2)),
    ],
)
def test_an_account_takes_from_its_domain_what_it_does_not_say(
    tmp_path: Path, own: MailLimits, domain: MailLimits, expected: MailLimits
) -> None:
    directory = Directory(tmp_path / "directory.sqlite")
    directory.add_domain("example.org")
    account = directory.add_account(at("ann@example.org"))
    directory.set_quota("domain", "example.org", domain)
    directory.set_quota("account", account, own)
    assert Directory(tmp_path / "directory.sqlite").limits_of(account) == expected == directory.limits_of(account)
    assert directory.limits_of(AccountId("nobody")) == NO_LIMITS


def test_quotas_go_with_whose_they_are(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "directory.sqlite")
    directory.add_domain("example.org")
    account = directory.add_account(at("ann@example.org"))
    directory.set_quota("account", account, MailLimits(1, 1))
    directory.set_quota("domain", "example.org", MailLimits(1, 1))
    directory.remove_account(account)
    directory.remove_domain("example.org")
    assert not directory.quotas().accounts and not directory.quotas().domains
