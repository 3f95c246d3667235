"""`mailward train`: files, mbox and Maildir, counted; as root from folders that only root can read; to nobody when nobody learns."""

import json
import mailbox
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.server import Server, open_folder, server

POLICY = "version: 1\nplugins: {spam: {learn_first: 1000}}\n"


@pytest.fixture(scope="module")
def made() -> Iterator[Server]:
    with server(policy=POLICY, start=False) as target:
        yield target


@pytest.fixture
def letters() -> Iterator[Path]:
    """A closed folder with a file, an mbox and a Maildir, one message each, and something that is no message."""
    folder = open_folder()
    folder.chmod(0o700)

    def mail(word: str) -> bytes:
        return f"From: a@example.net\nSubject: {word} {folder.name}\n\nabout {word}\n".encode()

    (folder / "one.eml").write_bytes(mail("file"))
    box = mailbox.mbox(folder / "box")
    box.add(mail("mbox"))
    box.close()
    mailbox.Maildir(folder / "dir", create=True).add(mail("maildir"))
    (folder / "notes.txt").write_bytes(b"no message\n")
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    yield folder
    shutil.rmtree(folder)


def train(made: Server, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = made.run("train", *arguments, "--json", check=False)
    assert done.returncode == code, done.stderr
    counts: dict[str, Any] = json.loads(done.stdout)
    return counts


def test_everything_is_read_and_counted(made: Server, letters: Path) -> None:
    counts = train(made, "ham", str(letters))
    assert (counts["messages"], counts["unreadable"], counts["failed"], counts["plugins"]) == (3, 1, 0, ["spam"])
    assert "notes.txt" in counts["problems"][0]
    spam, ham = lessons(made, letters)
    train(made, "ham", str(letters / "box"), str(letters / "one.eml"))
    assert lessons(made, letters) == (spam, ham), "a message counts once"
    train(made, "spam", str(letters / "one.eml"))
    assert lessons(made, letters) == (spam + 1, ham - 1), "the other lesson is learnt anew"


def lessons(made: Server, letters: Path) -> tuple[int, int]:
    """How many of spam and of ham the plugin says it has learnt."""
    found = re.search(r"(\d+) spam and (\d+) ham learnt", made.run("scan", str(letters / "one.eml"), check=False).stdout)
    assert found is not None
    return int(found[1]), int(found[2])


def test_it_says_so_in_words(made: Server, letters: Path) -> None:
    shown = made.run("train", "spam", str(letters)).stdout
    assert shown.startswith("3 messages given as spam to the plugins that learn (spam), 1 unreadable\n")


def test_root_may_teach_what_only_root_can_read(made: Server, letters: Path) -> None:
    if os.geteuid() == 0:
        assert made.folder.stat().st_uid != letters.stat().st_uid, "the server's user cannot read it"
    assert train(made, "spam", str(letters / "dir"))["messages"] == 1


def test_accounts_are_known_people(made: Server, letters: Path) -> None:
    assert train(made, "ham", str(letters / "one.eml"), "--account", "demo@example.test")["messages"] == 1
    assert made.run("train", "ham", str(letters), "--account", "nobody@example.test", check=False).returncode == 66


def test_wrong_usage_and_missing_files_have_their_exit_codes(made: Server, letters: Path) -> None:
    assert made.run("train", "eggs", str(letters), check=False).returncode == 64
    assert made.run("train", "ham", check=False).returncode == 64
    assert made.run("train", "ham", "/nonexistent", check=False).returncode == 66
    assert made.run("train", "ham", str(letters / "notes.txt"), check=False).returncode == 66


def test_where_nobody_learns_it_says_so(letters: Path) -> None:
    with server(policy="version: 1\nplugins: {}\n", start=False) as made:
        refused = made.run("train", "ham", str(letters), check=False)
        assert refused.returncode == 78 and "no plugin of policies/inbound.yaml learns" in refused.stderr


def test_a_plugin_that_fails_is_told_apart_and_named(made: Server, letters: Path) -> None:
    (made.folder / "plugins/broken.py").write_text(
        "from mailward.api import Plugin, hookimpl\nplugin = Plugin(api=1, summary='x', capabilities=('body',))\n\n"
        "@hookimpl\ndef on_classified(classified):\n    raise ValueError('no memory')\n"
    )
    made.policy("version: 1\nplugins: {broken: {}}\n")
    try:
        done = made.run("train", "ham", str(letters), "--json", check=False)
        assert json.loads(done.stdout)["failed"] == 3
        assert "no memory" in done.stderr and "plugin=broken" in done.stderr
    finally:
        made.policy(POLICY)
