"""`mailward account show`: everything about one account in one place."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mailward.app.accounts import opened_store
from mailward.app.config_file import load_config
from mailward.auth.credentials import AppPasswordWish, add_app_password
from mailward.cli import account, account_show
from mailward.cli.options import opened_credentials, opened_directory
from mailward.directory import Alias
from mailward.model.address import Address
from mailward.model.limits import MailLimits
from mailward.store.ops import ActivateScript, PutScript, SetRights
from support.installation import installation
from support.storecheck import message
from support.stores import append

DEMO, BOB = Address("demo", "example.test"), Address("bob", "example.test")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(account_show, "config_of", load_config)  # and nobody becomes another user
    return installation(tmp_path)


def typed(config: Path, *words: str) -> Result:
    return CliRunner().invoke(account.app, ["show", *words, "-c", str(config)])


def asked(config: Path, address: Address) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(typed(config, str(address), "--json").stdout)
    return found


def test_an_account_with_some_of_everything(config: Path) -> None:
    settings = load_config(config)
    with opened_store(settings) as stores, opened_directory(settings) as directory, opened_credentials(settings) as credentials:
        demo, bob = directory.resolve(DEMO), directory.add_account(BOB)
        assert demo is not None
        directory.add_alias(Alias(Address("sales", "example.test"), (Address("elsewhere", "example.net"), BOB)))
        directory.add_alias(Alias(Address("", "example.test"), (Address("sales", "example.test"),)))
        directory.add_alias(Alias(Address("others", "example.test"), (DEMO,)))
        directory.add_address(Address("robert", "example.test"), bob)
        directory.add_to_group("staff", [bob])
        directory.set_quota("account", bob, MailLimits(10_000, None))
        directory.set_capabilities_off(bob, ["QRESYNC"])
        wish = AppPasswordWish("phone", ("imap", "smtp"), datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
        add_app_password(credentials, bob, wish)
        store, other = stores.open(bob), stores.open(demo)
        inbox, drafts = store.mailbox("INBOX").id, other.mailbox("Drafts").id
        store.apply([append(inbox, message(1)), append(inbox, message(2), None, ("\\Seen",))])
        store.apply([PutScript("main", b"keep;"), PutScript("old", b"stop;"), ActivateScript("main")])
        store.apply([SetRights(inbox, f"account:{demo}", "add", "lr")])
        other.apply([SetRights(drafts, "group:staff", "add", "lrs")])
        octets = store.quota().octets

    found = asked(config, Address("robert", "example.test"))
    assert found.pop("app_passwords")[0].items() >= {"name": "phone", "scopes": ["imap", "smtp"], "last_used_at": None}.items()
    assert found.pop("plugins")["totp"]["active"] is False
    assert found == {
        "address": "bob@example.test",
        "id": bob,
        "disabled": False,
        "further_addresses": ["robert@example.test"],
        "aliases": ["@example.test", "sales@example.test"],
        "groups": ["staff"],
        "quota": {"octets": octets, "messages": 2, "most_octets": 10_000, "most_messages": None},
        "mailboxes": 6,
        "messages": 2,
        "unseen": 1,
        "scripts": [{"name": "main", "active": True}, {"name": "old", "active": False}],
        "shares": [{"mailbox": "INBOX", "with": "demo@example.test", "rights": "lr"}],
        "shared_with_it": [{"mailbox": "Other Users/demo@example.test/Drafts", "rights": "lrs"}],
        "capabilities_off": ["QRESYNC"],
    }
    lines = typed(config, str(BOB)).stdout.splitlines()
    assert [line.split(maxsplit=2)[2] for line in lines if line.startswith("Sieve script")] == ["main, active", "old"]
    assert any(line.startswith("app password") and line.endswith("phone for imap, smtp, never used, expired") for line in lines)
    assert lines[-1].split(maxsplit=1) == ["totp", "second factor of bob@example.test: off"]


def test_an_account_without_anything_has_a_line_for_each_thing_too(config: Path) -> None:
    heads = [line.split("  ")[0] for line in typed(config, str(DEMO)).stdout.splitlines()]
    assert heads == [
        "account", "logins", "further address", "further address", "alias", "group", "holds", "mailboxes", "Sieve script", "shares",
        "shared with it", "app password", "not offered", "totp",
    ]  # fmt: skip


def test_nobody_is_no_account(config: Path) -> None:
    assert typed(config, str(BOB)).exit_code == 66
