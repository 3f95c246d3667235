"""`mailward store`: what a check finds, what --repair does, that it leaves a running server alone; and reading mail for searches."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from mailward.app.config import Config
from mailward.app.config_file import load_config
from mailward.cli import store
from mailward.directory import Directory
from mailward.disk import Disk
from mailward.formats.message import MessageView
from mailward.model.address import Address
from mailward.store import marking
from mailward.store.embedded import EmbeddedStore
from support.installation import installation
from support.storecheck import message
from support.stores import NoHints, append


class Shell:
    """An installation with one account that has two messages. index: its database."""

    def __init__(self, folder: Path) -> None:
        self.path = installation(folder)
        self.config = load_config(self.path)
        with closing(Directory(self.config.directory_file)) as directory:
            directory.add_domain("example.org")
            self._account = directory.add_account(Address("alice", "example.org"))
        self.index = self.config.data / "accounts" / self._account / "index.sqlite"
        mail = self.opened()
        inbox = mail.open(self._account).mailbox("INBOX").id
        mail.open(self._account).apply([append(inbox, message(1)), append(inbox, message(2))])
        mail.close()

    def opened(self) -> EmbeddedStore:
        return EmbeddedStore(self.config.data / "accounts", Disk(), NoHints())

    def count(self) -> int:
        return self.opened().open(self._account).mailbox("INBOX").exists

    def type(self, *words: str) -> Result:
        return CliRunner().invoke(store.app, ["check", *words, "-c", str(self.path)])

    def reads(self, *words: str) -> Any:
        return json.loads(self.type(*words, "--json").stdout)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(store, "config_of", load_config)  # and nobody becomes another user
    return Shell(tmp_path)


def test_sound_mail_is_said_to_be_sound(shell: Shell) -> None:
    done = shell.type()
    assert (done.exit_code, done.stdout) == (0, "demo@example.test: no problems\nalice@example.org: no problems\n")
    assert shell.reads("alice@example.org") == {"alice@example.org": {"problems": [], "done": [], "left": []}}


def test_what_is_lost_is_told_and_brought_back(shell: Shell) -> None:
    shell.index.unlink()
    done = shell.type("alice@example.org")
    assert done.exit_code == 1 and done.stdout.splitlines() == [
        "alice@example.org: 1 problem",
        "  index.sqlite is missing",
        "  what can be worked out anew, by: mailward store check alice@example.org --repair",
    ]
    done = shell.type("--repair")
    assert done.exit_code == 0 and "mended: mailbox INBOX: 2 messages brought back" in done.stdout
    assert shell.count() == 2


def test_a_running_server_keeps_its_databases(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def served(config: Config) -> bool:
        return config == shell.config

    monkeypatch.setattr(store, "is_served", served)
    shell.index.unlink()
    done = shell.type("--repair")
    assert done.exit_code == 75 and "stop it" in done.stderr
    assert not shell.index.exists()


def test_mail_is_read_for_searches_at_once_and_once(shell: Shell) -> None:
    def index(*words: str) -> Result:
        return CliRunner().invoke(store.app, ["index", *words, "-c", str(shell.path)])

    assert index().stdout == "alice@example.org: 2 messages read\n", "the other account has no mail, and gets none by this"
    assert json.loads(index("alice@example.org", "--json").stdout) == {"alice@example.org": {"read": 0, "left_out": []}}


def test_t_q_08_what_was_left_out_is_tried_again_and_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def index() -> str:
        return CliRunner().invoke(store.app, ["index", "-c", str(shell.path)]).stdout

    def fails(view: MessageView) -> Iterator[str]:
        raise RecursionError

    with monkeypatch.context() as broken:
        broken.setattr(marking, "searched_texts", fails)
        with capture_logs():
            assert index() == "alice@example.org: 0 messages read, left out: 1, 2\n"
    assert index() == "alice@example.org: 2 messages read\n"
