"""`mailward undelete`: what it lists, what it puts back and where, and that it asks first."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from mailward.app.accounts import opened_store
from mailward.app.config_file import load_config
from mailward.cli import undelete
from mailward.directory import Directory
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, Uid
from mailward.model.limits import MailLimits
from mailward.store.base import AccountStore
from mailward.store.ops import CreateMailbox, DeleteMailbox, Expunge, SetRights
from support.installation import installation
from support.storecheck import message
from support.stores import append

NOTHING = "nothing can be put back: what was moved, or still has a copy in a mailbox, is not deleted\n"


class Shell:
    """An installation whose account has lost a message of INBOX, and a mailbox with another."""

    def __init__(self, folder: Path) -> None:
        self.path = installation(folder)
        self.config = load_config(self.path)
        self._app = Typer()
        self._app.command()(undelete.undelete_command)
        with self.opened() as store:
            inbox = store.mailbox("INBOX").id
            (made,) = store.apply([CreateMailbox("Clients")])
            store.apply(
                [append(inbox, message(1)), append(inbox, message(2)), append(made.mailbox, message(3), None, ("\\Seen",))]
            )
            store.apply([Expunge(inbox, (Uid(1),)), DeleteMailbox("Clients")])

    @contextmanager
    def opened(self) -> Iterator[AccountStore]:
        with opened_store(self.config) as store:
            yield store.open(self.account())

    def account(self) -> AccountId:
        with closing(Directory(self.config.directory_file)) as directory:
            (found,) = directory.accounts()
            return found.id

    def contents(self, name: str) -> list[int]:
        with self.opened() as store:
            return [*store.view(store.mailbox(name).id).uids]

    def type(self, *words: str) -> Result:
        return CliRunner().invoke(self._app, ["demo@example.test", *words, "-c", str(self.path)])


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(undelete, "config_of", load_config)  # and nobody becomes another user
    return Shell(tmp_path)


def test_all_goes_back_to_where_it_was(shell: Shell) -> None:
    done = shell.type("--yes")
    assert (done.exit_code, done.stdout) == (0, "1 message put back into INBOX\n1 message put back into Clients\n")
    assert (shell.contents("INBOX"), shell.contents("Clients")) == ([2, 3], [1])
    assert shell.type().stdout == NOTHING


def test_it_shows_what_would_come_back_the_latest_first_and_changes_nothing(shell: Shell) -> None:
    lines = shell.type("--dry-run").stdout.splitlines()
    assert [line.rpartition("  ")[2].strip() for line in lines] == ["SUBJECT", "number 3", "number 1"]
    found = json.loads(shell.type("--dry-run", "--json", "--mailbox", "Clients").stdout)
    assert [(one["mailbox"], one["from"], one["flags"]) for one in found] == [("Clients", "a@example.net", ["\\Seen"])]
    assert shell.contents("INBOX") == [2]


def test_a_mailbox_and_a_time_narrow_it_and_another_mailbox_can_take_it(shell: Shell) -> None:
    assert shell.type("--since", "0m", "--yes").stdout == NOTHING
    done = shell.type("--mailbox", "inbox", "--since", "2h", "--into", "Back/Here", "--yes", "--json")
    assert json.loads(done.stdout) == {"address": "demo@example.test", "put_back": {"Back/Here": 1}}
    assert shell.contents("Back/Here") == [1]


def test_what_is_there_again_with_its_octets_and_date_does_not_come_back_beside_it(shell: Shell) -> None:
    with shell.opened() as store:
        again = append(store.mailbox("Trash").id, message(1))
        store.apply(
            [again, replace(append(store.mailbox("Trash").id, message(3)), internal_date=datetime(2020, 1, 1, tzinfo=UTC))]
        )
    assert shell.type("--yes").stdout == "1 message put back into Clients\n", "the other had another date"
    assert shell.contents("INBOX") == [2]


def test_of_several_that_are_alike_the_last_comes_back(shell: Shell) -> None:
    with shell.opened() as store:
        trash = store.mailbox("Trash").id
        store.apply([append(trash, message(1)), append(trash, message(1))])
        store.apply([Expunge(trash, (Uid(1), Uid(2)))])
    assert shell.type("--yes").stdout == "1 message put back into Clients\n1 message put back into Trash\n"
    assert (shell.contents("INBOX"), shell.contents("Trash")) == ([2], [3])
    told = "nothing can be put back: 2 messages deleted, of which a mailbox still has a copy\n"
    assert shell.type().stdout == told


def test_a_mailbox_that_never_was_is_called_so(shell: Shell) -> None:
    told = "nothing can be put back: there is no mailbox Clinets, nor is deleted mail of such a one kept\n"
    assert shell.type("--mailbox", "Clinets").stdout == told
    assert shell.type("--mailbox", "Trash").stdout == NOTHING


def test_a_damaged_copy_is_none(shell: Shell) -> None:
    with shell.opened() as store:
        store.apply([append(store.mailbox("Trash").id, message(1))])
        (copy,) = store.view(store.mailbox("Trash").id).messages
    for pack in shell.config.data.rglob("*.pack"):
        octets = pack.read_bytes()
        at = octets.rindex(b"number 1")
        pack.write_bytes(octets[:at] + b"N" + octets[at + 1 :])
    with shell.opened() as store, pytest.raises(StorageError):
        store.read(copy)
    assert "1 message put back into INBOX" in shell.type("--yes").stdout


def test_nobody_is_surprised(shell: Shell) -> None:
    assert shell.type().exit_code == 64, "there is no terminal to ask at"
    with closing(Directory(shell.config.directory_file)) as directory:
        directory.set_quota("account", shell.account(), MailLimits(messages=2))
    done = shell.type("--yes")
    assert done.exit_code == 70 and "nothing was put back: The account may hold 2 messages" in done.stderr
    assert shell.contents("INBOX") == [2]


def test_t_imap_14_a_mailbox_made_again_is_shared_with_nobody_and_a_shared_one_is_named_before(shell: Shell) -> None:
    with shell.opened() as store:
        (made,) = store.apply([CreateMailbox("Clients/Private")])
        store.apply([append(made.mailbox, message(4))])
        store.apply([DeleteMailbox("Clients/Private"), SetRights(store.mailbox("Clients").id, "account:b", "add", "lr")])
    looked = shell.type("--dry-run")
    assert looked.stderr.splitlines() == [
        "mailward: Clients is shared: others will see what is put back there; `--into` takes another mailbox"
    ]
    assert shell.type("--yes", "--mailbox", "Clients/Private").stderr == ""
    with shell.opened() as store:
        assert [*store.grants()] == [store.mailbox("Clients").id]
    assert shell.contents("Clients/Private") == [1]
