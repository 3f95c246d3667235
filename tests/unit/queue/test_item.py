"""The form of a queue item on disk."""

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailward.model.edits import AddHeader, PrefixSubject, RemoveFieldAt, RemoveHeader, ReplaceHeader, ReplacePart
from mailward.model.envelope import RcptParameters
from mailward.model.evidence import HookCall, StoredFinding
from mailward.queue.item import ITEM_VERSION, QueuedRecipient, QueueItem, id_and_routes
from mailward.queue.record import NewerVersion
from support.spooling import item_for

EDITS = (
    AddHeader("X-Score", "7.5 \u00fc"),
    RemoveHeader("X-Old"),
    RemoveHeader("X-Old", 2),
    ReplaceHeader("Reply-To", "a@example.org", 1),
    PrefixSubject("[out] "),
    ReplacePart("1.2", "text/plain; charset=utf-8", b"gone\r\n", disposition="inline"),
    ReplacePart("", "application/zip", bytes(range(256)), "base64"),
    RemoveFieldAt(3),
)
ASKED = RcptParameters(("SUCCESS", "DELAY"), "rfc822;j@example.org")
CALL = HookCall(
    "spf", "1", "inspect_mail", "mail", 1.5, "ok", None, (StoredFinding("spf", "SPF_FAIL", "not a sender", 0.5, 1.25),)
)


def test_an_item_with_everything_in_it_is_read_back_equal() -> None:
    recipient = QueuedRecipient(
        "j\u00fcrgen@example.org", "mailbox", "j", "Junk", ("$Junk",), EDITS, "limits.junk 5", parameters=ASKED, sortable=True
    )
    item = item_for(b"x", [recipient, QueuedRecipient("b@example.org", "discard")])
    decision = replace(
        item.decision, calls=(CALL,), facts={"dkim.domains": ("a.example", "b.example"), "score": 1.5, "x.y": True}
    )
    item = replace(item, edits=EDITS, decision=decision, smtputf8=True, ret="FULL", envelope_id="a+b c")
    text = item.to_json()
    assert text.isascii() and "\n" not in text
    assert QueueItem.from_json(text) == item


FORGED = ',"recipients":[{"route":"discard"}],"id":"forged","version":99}'


@given(st.text(), st.lists(st.tuples(st.text(), st.sampled_from(["relay", "mailbox", "discard"])), max_size=3))
@example(FORGED, [(FORGED, "relay")])
@example("\\" + FORGED, [("\\", "relay"), (FORGED, "mailbox")])
def test_what_a_start_reads_of_an_item_is_what_the_whole_of_it_says(text: str, recipients: list[tuple[str, str]]) -> None:
    to = [QueuedRecipient(path, route, reason=text, edits=(AddHeader(text, path),)) for path, route in recipients]
    item = replace(item_for(b"x", to), trace=text, reverse_path=text, edits=(AddHeader("X", text),), user=text)
    written = item.to_json()
    whole = json.loads(written)
    routes = [recipient["route"] for recipient in whole["recipients"]]
    assert id_and_routes(written) == (whole["id"], routes) == (item.id, [route for _, route in recipients])
    assert id_and_routes(json.dumps(whole, sort_keys=True)) == (item.id, routes)  # as another release might order them


def test_a_newer_version_is_refused() -> None:
    raw = json.loads(item_for(b"x").to_json())
    with pytest.raises(ValueError, match=f"version {ITEM_VERSION + 1}"):
        QueueItem.from_json(json.dumps({**raw, "version": ITEM_VERSION + 1}))
    with pytest.raises(NewerVersion, match=f"version {ITEM_VERSION + 1}"):
        id_and_routes(json.dumps({**raw, "version": ITEM_VERSION + 1}))


def test_an_item_of_the_release_before_is_read() -> None:
    raw = json.loads(item_for(b"x").to_json())
    del raw["origin"], raw["user"]
    item = QueueItem.from_json(json.dumps({**raw, "version": 1}))
    assert (item.origin, item.user) == ("inbound", "")
    assert QueueItem.from_json(json.dumps({**raw, "origin": "report", "version": 6})).origin == "server"


@pytest.mark.parametrize("user", ["b\udcffb@example.org", "jürgen@example.org", "bob@example.org"])
def test_what_is_written_is_ascii_and_comes_back_whatever_the_text(user: str) -> None:
    item = replace(item_for(b"x"), user=user, edits=(AddHeader("X-Note", "Grüße"),))
    text = item.to_json()
    assert text.isascii() and id_and_routes(text)[0] == item.id
    assert QueueItem.from_json(text) == item
