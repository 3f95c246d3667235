"""The form in which names of mailboxes are kept and compared: RFC 9051 sections 5.1 and 6.3.4, RFC 5198 section 3."""

import pytest

from mailward.store.names import normalise_name, parents
from mailward.store.refusals import NotPermitted


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("iNbOx", "INBOX"),
        ("inbox/Work", "INBOX/Work"),
        ("Work/inbox", "Work/inbox"),
        ("Work/", "Work"),
        ("e\u0301te\u0301", "été"),
    ],
)
def test_names_that_mean_the_same_are_kept_alike(name: str, kept: str) -> None:
    assert normalise_name(name) == normalise_name(kept) == kept


@pytest.mark.parametrize("name", ["", "/", "/Work", "a//b", "a//"])
def test_a_level_has_a_name(name: str) -> None:
    with pytest.raises(NotPermitted):
        normalise_name(name)


def test_parents_are_told_from_the_top() -> None:
    assert parents("a/b/c") == ["a", "a/b"] and parents("a") == []
