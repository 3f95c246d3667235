"""Sieve scripts in the account's store (RFC 5804)."""

from pathlib import Path

import pytest

from mailward.store.base import Script
from mailward.store.ops import MAX_SCRIPTS, ActivateScript, DeleteScript, Op, PutScript, RenameScript
from mailward.store.refusals import NoSuchScript, ScriptActive, ScriptExists, StoreRefusal, TooManyScripts
from support.stores import account


def test_scripts_are_put_replaced_renamed_activated_and_deleted(tmp_path: Path) -> None:
    store = account(tmp_path)
    store.apply([PutScript("b", b"keep;"), PutScript("a", b"stop;"), ActivateScript("b")])
    store.apply([PutScript("b", b"discard;")])
    store.apply([RenameScript("b", "c")])
    assert account(tmp_path).scripts() == (Script("a", b"stop;", False), Script("c", b"discard;", True))
    assert store.active_script() == store.script("c") == Script("c", b"discard;", True)
    store.apply([ActivateScript("a"), DeleteScript("c")])
    assert store.scripts() == (Script("a", b"stop;", True),)
    store.apply([ActivateScript(""), DeleteScript("a")])
    assert store.scripts() == ()
    assert store.active_script() is None and store.script("a") is None


def test_t_imap_20_an_account_has_so_many_scripts_and_can_replace_each(tmp_path: Path) -> None:
    store = account(tmp_path)
    store.apply([PutScript(f"{number}", b"") for number in range(MAX_SCRIPTS)])
    with pytest.raises(TooManyScripts):
        store.apply([PutScript("one more", b"")])
    store.apply([PutScript("1", b"stop;")])
    assert len(store.scripts()) == MAX_SCRIPTS


@pytest.mark.parametrize(
    ("op", "refusal"),
    [
        (DeleteScript("a"), ScriptActive),
        (DeleteScript("x"), NoSuchScript),
        (ActivateScript("x"), NoSuchScript),
        (RenameScript("x", "y"), NoSuchScript),
        (RenameScript("a", "b"), ScriptExists),
    ],
)
def test_what_cannot_be_done_with_a_script_changes_nothing(tmp_path: Path, op: Op, refusal: type[StoreRefusal]) -> None:
    store = account(tmp_path)
    store.apply([PutScript("a", b""), PutScript("b", b""), ActivateScript("a")])
    before = store.scripts()
    with pytest.raises(refusal):
        store.apply([PutScript("c", b""), op])
    assert store.scripts() == before
