"""Which thread a message joins when it is stored."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from mailward.model.ids import Uid
from mailward.store.account import EmbeddedAccount
from mailward.store.base import EXPUNGED_KEPT_S
from mailward.store.ops import Copy, Expunge, Subscribe
from support.stores import account, append


def of(id: str, *references: str, field: str = "References") -> bytes:
    """A message with an identifier and what it refers to."""
    about = f"{field}: {' '.join(f'<{one}@example.net>' for one in references)}\r\n" if references else ""
    return f"Message-ID: <{id}@example.net>\r\n{about}\r\n{id}\r\n".encode()


def threads(store: EmbeddedAccount, messages: Sequence[bytes]) -> list[object]:
    """Each message stored by itself, and the threads they are in."""
    inbox = store.mailbox("INBOX").id
    for octets in messages:
        store.apply([append(inbox, octets)])
    return [thread for (thread,) in store.meta(store.view(inbox).messages[-len(messages) :], ("thread",))]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([of("a"), of("b")], [1, 2], id="strangers"),
        pytest.param([of("a"), of("b", "a"), of("c", "a", "b")], [1, 1, 1], id="replies"),
        pytest.param([of("c", "a", "b"), of("b", "a"), of("a")], [1, 1, 1], id="in the wrong order"),
        pytest.param([of("b", "a"), of("c", "a")], [1, 1], id="siblings of a message that is not here"),
        pytest.param([of("a"), of("b", "a", field="In-Reply-To")], [1, 1], id="In-Reply-To"),
        pytest.param([of("a"), of("a")], [1, 1], id="twice"),
        pytest.param([of("a"), of("b"), of("c", "a", "b")], [1, 2, 2], id="the nearest reference of two threads"),
        pytest.param([of("x", "b"), of("a"), of("b", "a")], [1, 2, 1], id="its own identifier before any reference"),
        pytest.param([b"Subject: a\r\n\r\n", b"Subject: a\r\n\r\n"], [1, 2], id="no identifier"),
        pytest.param([of("a", "a")], [1], id="of itself"),
    ],
)
def test_a_message_joins_a_thread(tmp_path: Path, messages: list[bytes], expected: list[int]) -> None:
    assert threads(account(tmp_path), messages) == expected


def test_a_message_of_a_thousand_references_is_bound_to_the_oldest_and_the_latest(tmp_path: Path) -> None:
    store = account(tmp_path)
    many = [f"r{n}" for n in range(900)]
    assert threads(store, [of("last", *many), of("r0"), of("r1"), of("r899")]) == [1, 1, 2, 1]


def test_what_nothing_belongs_to_any_more_leads_nowhere(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox, trash = store.mailbox("INBOX").id, store.mailbox("Trash").id
    assert threads(store, [of("a"), of("b", "a"), of("c")]) == [1, 1, 2]
    store.apply([Copy(inbox, (Uid(2),), trash), Expunge(inbox, (Uid(1), Uid(2), Uid(3)))])
    later = account(tmp_path, now_s=1_800_000_000.0 + EXPUNGED_KEPT_S + 1)
    later.apply([Subscribe("INBOX", True)])  # whoever writes next tidies
    assert threads(later, [of("d", "a"), of("e", "c")]) == [1, 3]
