"""`mailward account mailboxes`: what an account has, a new mailbox, and what `account share` says of one that is not there."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mailward.app.accounts import opened_store
from mailward.app.config_file import load_config
from mailward.cli import account, account_mailboxes, share
from mailward.cli.options import opened_directory
from mailward.model.address import Address
from mailward.store.ops import SetRights
from support.installation import installation
from support.storecheck import message
from support.stores import append

DEMO = "demo@example.test"


class Shell:
    def __init__(self, folder: Path) -> None:
        self.path = installation(folder)
        self.config = load_config(self.path)

    def type(self, *words: str) -> Result:
        return CliRunner().invoke(account.app, [*words, "-c", str(self.path)])

    def names(self) -> list[str]:
        return [one["mailbox"] for one in json.loads(self.type("mailboxes", DEMO, "--json").stdout)]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    for module in (account_mailboxes, share):
        monkeypatch.setattr(module, "config_of", load_config)  # and nobody becomes another user
    return Shell(tmp_path)


def test_it_shows_what_is_in_each_mailbox_and_who_shares_it(shell: Shell) -> None:
    with opened_store(shell.config) as stores, opened_directory(shell.config) as directory:
        bob = directory.add_account(Address("bob", "example.test"))
        owner = directory.account(Address("demo", "example.test"))
        assert owner is not None
        store = stores.open(owner.id)
        inbox = store.mailbox("INBOX").id
        store.apply([append(inbox, message(1)), append(inbox, message(2), None, ("\\Seen",))])
        store.apply([SetRights(inbox, f"account:{bob}", "add", "lr")])
        octets = store.mailbox("INBOX").size_octets
    lines = shell.type("mailboxes", DEMO).stdout.splitlines()
    assert lines[0].split() == ["MAILBOX", "USE", "MESSAGES", "UNSEEN", "OCTETS", "SHARED", "WITH"]
    assert lines[1].split() == ["INBOX", "2", "1", str(octets), "bob@example.test", "(lr)"]
    first, *others = json.loads(shell.type("mailboxes", DEMO, "--json").stdout)
    assert first == {
        "mailbox": "INBOX", "special_use": "", "subscribed": True, "messages": 2, "unseen": 1, "size_octets": octets,
        "shared_with": {"bob@example.test": "lr"},
    }  # fmt: skip
    assert "\\Junk" in {one["special_use"] for one in others}


def test_a_mailbox_is_made_with_those_above_it_and_subscribed_to(shell: Shell) -> None:
    made = json.loads(shell.type("mailboxes", DEMO, "--create", "Team/Plans", "--json").stdout)
    assert {one["mailbox"]: one["subscribed"] for one in made if "Team" in one["mailbox"]} == {"Team": False, "Team/Plans": True}
    again = shell.type("mailboxes", DEMO, "--create", "Team")
    assert (again.exit_code, again.stderr) == (64, "mailward: The mailbox Team exists\n")


def test_another_mailbox_becomes_the_one_for_sent_mail(shell: Shell) -> None:
    def uses(*words: str) -> dict[str, str]:
        return {one["mailbox"]: one["special_use"] for one in json.loads(shell.type("mailboxes", DEMO, *words, "--json").stdout)}

    made = uses("--create", "Sent Items", "--use", "sent", "Sent Items")
    assert (made["Sent Items"], made["Sent"]) == ("\\Sent", "")
    assert uses("--use", "Sent", "Sent")["Sent Items"] == ""
    assert uses("--use", "none", "Sent")["Sent"] == ""
    refused = [
        shell.type("mailboxes", DEMO, "--use", *words) for words in (("spam", "Junk"), ("sent", "INBOX"), ("sent", "Nowhere"))
    ]
    assert [one.exit_code for one in refused] == [64, 64, 66]
    assert "for all, archive, drafts, flagged, junk, sent, trash, none, not for 'spam'" in refused[0].stderr
    assert uses()["Junk"] == "\\Junk", "what is refused changes nothing"
    taken = refused[0].stderr.partition("can be for ")[2].partition(", none,")[0]
    helped = " ".join(shell.type("mailboxes", "--help").stdout.replace("│", " ").split())
    assert f"the one for {taken}, and no other" in helped


def test_who_shares_a_mailbox_that_is_not_there_is_told_which_are_and_how_to_make_it(shell: Shell) -> None:
    told = shell.type("share", DEMO, "Team", "--with", "anyone", "--rights", "lr")
    assert told.exit_code == 66
    first, second = told.stderr.splitlines()
    assert first == f"mailward: {DEMO} has no mailbox Team, but {', '.join(shell.names())}"
    assert second == f"  To make it: mailward account mailboxes {DEMO} --create 'Team'"


@pytest.mark.parametrize("word", ["read", "write", "all", "+admin", "Expunge"])
def test_words_of_other_servers_are_not_read_as_letters_that_grant_more(shell: Shell, word: str) -> None:
    told = shell.type("share", DEMO, "INBOX", "--with", "anyone", "--rights", word)
    assert told.exit_code == 64 and f"'{word}' is a word, and rights are letters: lrs to read" in told.stderr


@pytest.mark.parametrize(
    ("whom", "said"),
    [
        ("group:staff", "there is no group staff; mailward group list shows them"),
        ("anyone", "anyone wants `share_with_anyone: on` in mailward.yaml"),
        ("bob@example.test", "'bob@example.test' is no account's own address here; mailward account list shows them"),
    ],
)
def test_whom_nobody_is_is_said_in_the_words_of_what_was_named(shell: Shell, whom: str, said: str) -> None:
    told = shell.type("share", DEMO, "INBOX", "--with", whom, "--rights", "lrs")
    assert told.exit_code == 66 and told.stderr.startswith(f"mailward: {said}"), told.stderr


def test_a_mailbox_is_renamed_subscribed_to_and_deleted(shell: Shell) -> None:
    shell.type("mailboxes", DEMO, "--create", "Team/Plans")
    renamed = {one["mailbox"] for one in json.loads(shell.type("mailboxes", DEMO, "--rename", "Team", "Crew", "--json").stdout)}
    assert {"Crew", "Crew/Plans"} <= renamed and not {"Team", "Team/Plans"} & renamed

    def is_subscribed(*words: str) -> bool:
        found = json.loads(shell.type("mailboxes", DEMO, *words, "--json").stdout)
        return any(one["subscribed"] for one in found if one["mailbox"] == "Crew/Plans")

    assert [is_subscribed(word, "Crew/Plans") for word in ("--subscribe", "--unsubscribe", "--subscribe")] == [True, False, True]

    with opened_store(shell.config) as stores, opened_directory(shell.config) as directory:
        [owner] = directory.accounts()
        store = stores.open(owner.id)
        store.apply([append(store.mailbox("Crew").id, message(1))])
    unasked = shell.type("mailboxes", DEMO, "--delete", "Crew")
    assert unasked.exit_code == 64 and "add --yes" in unasked.stderr and "Crew" in shell.names()
    assert "Crew" not in {
        one["mailbox"] for one in json.loads(shell.type("mailboxes", DEMO, "--delete", "Crew", "--yes", "--json").stdout)
    }
    assert "Crew/Plans" in shell.names()
    with opened_store(shell.config) as stores:
        assert [one.mailbox_name for one in stores.open(owner.id).expunged()] == ["Crew"], "mailward undelete has it"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--delete", "INBOX", "--yes"), 64, "INBOX"),
        (("--delete", "Nowhere", "--yes"), 66, "has no mailbox Nowhere"),
        (("--rename", "Nowhere", "Here"), 66, "has no mailbox Nowhere"),
        (("--rename", "Sent", "Trash"), 64, "Trash"),
        (("--subscribe", "Nowhere"), 66, "has no mailbox Nowhere"),
        (("--delete", "a//b", "--yes"), 64, "no empty levels"),
        (("--unsubscribe", "a//b"), 64, "no empty levels"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(shell: Shell, words: tuple[str, ...], code: int, said: str) -> None:
    before = shell.names()
    done = shell.type("mailboxes", DEMO, *words)
    assert (done.exit_code, said in done.stderr, shell.names()) == (code, True, before), done.stderr
    assert ("To make it" in done.stderr) == ("--subscribe" in words), "nobody wants what he renames or deletes to be made"
