"""Directories of earlier releases are brought to the present form, with everybody in them."""

import sqlite3
from pathlib import Path

from mailward.directory import CredentialStore, Directory
from mailward.formats.address import parse_mailbox as at


def test_t_q_14_a_directory_of_form_3_is_brought_up(tmp_path: Path) -> None:
    """Written by the release before groups."""
    path = tmp_path / "directory.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript((Path(__file__).parent / "directory-3.sql").read_text())
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    directory = Directory(path)
    alice = directory.resolve(at("ann@example.org"))
    assert alice is not None and alice == directory.resolve(at("alice@example.org"))
    assert [str(way.address) for way in directory.expand(at("sales@example.org"))] == ["alice@example.org", "bob@example.com"]
    assert directory.groups() == {}
    directory.add_to_group("finance", [alice])
    assert directory.groups_behind(at("sales@example.org")) == ("finance",)
    directory.set_capabilities_off(alice, ("QRESYNC",))
    assert directory.capabilities_off(alice) == {"QRESYNC"}
    assert CredentialStore(path).of(alice).scram_salt
    assert (tmp_path / "directory.sqlite.form-3").exists()
