"""Which of the mailboxes that can be reached a filter means (RFC 5465 section 6, RFC 7377 section 2.2)."""

import pytest

from mailward.access.imap.filters import fits, may_be_of_others
from mailward.access.imap.reach import Reach
from mailward.protocol.imap.filters import Kind, MailboxFilter
from mailward.store.ops import CreateMailbox, Subscribe
from support.sharing import BOX, Town, work

SHARED = BOX.strip('"')


@pytest.fixture
def reach(town: Town) -> Reach:
    """Bob's: own mailboxes a, a/b, a/b/c and ab, of which a/b is subscribed, and alice's Work, which is shared with him."""
    work(town, "lr")
    store = town.store("bob")
    for box in store.mailboxes():
        store.apply([Subscribe(box.name, subscribed=False)])
    store.apply([CreateMailbox(name) for name in ("a", "a/b", "a/b/c", "ab")])
    store.apply([Subscribe("a/b", subscribed=True)])
    return Reach(town.office.store, town.ids["bob"], town.office.desk.identifiers)


def meant(reach: Reach, kind: Kind, *names: str) -> set[str]:
    """Of the mailboxes that the test has made."""
    ours = {"a", "a/b", "a/b/c", "ab", SHARED}
    filter = MailboxFilter(kind, frozenset(names))
    return {one.info.name for one in reach.all() if fits(filter, one)} & ours


OWN = {"a", "a/b", "a/b/c", "ab"}


@pytest.mark.parametrize(
    ("kind", "names", "expected"),
    [
        ("personal", (), OWN),
        ("inboxes", (), OWN),
        ("subscribed", (), {"a/b"}),
        ("mailboxes", ("a", "a/b/c", "nowhere"), {"a", "a/b/c"}),
        ("mailboxes", (SHARED,), {SHARED}),
        ("subtree", ("a",), {"a", "a/b", "a/b/c"}),
        ("subtree", ("a/b", "ab"), {"a/b", "a/b/c", "ab"}),
        ("subtree", ("Other Users",), {SHARED}),
        ("subtree-one", ("a",), {"a", "a/b"}),
        ("subtree-one", ("Other Users",), set[str]()),
        ("selected", (), set[str]()),
        ("selected-delayed", (), set[str]()),
    ],
)
def test_what_a_filter_means(reach: Reach, kind: Kind, names: tuple[str, ...], expected: set[str]) -> None:
    assert meant(reach, kind, *names) == expected


@pytest.mark.parametrize(
    ("kind", "names", "expected"),
    [
        ("personal", (), False),
        ("mailboxes", ("a", "Other"), False),
        ("mailboxes", ("a", SHARED), True),
        ("subtree", ("Other Users",), True),
        ("subtree", ("Other Users of ours",), False),
        ("subscribed", (), False),
    ],
)
def test_t_dos_08_stores_of_others_are_opened_only_where_a_filter_can_mean_them(
    reach: Reach, kind: Kind, names: tuple[str, ...], expected: bool
) -> None:
    assert may_be_of_others([MailboxFilter("inboxes"), MailboxFilter(kind, frozenset(names))], reach) is expected


def test_who_has_subscribed_to_a_mailbox_of_others_means_it(reach: Reach) -> None:
    reach.own.apply([Subscribe(SHARED, subscribed=True)])
    assert may_be_of_others([MailboxFilter("subscribed")], reach)
    assert meant(reach, "subscribed") == {"a/b", SHARED}
