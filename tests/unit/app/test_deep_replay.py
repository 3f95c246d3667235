"""Of many records each is judged once, in order, and counted by why plugins were not run on it."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from mailward.app.copies import Copies
from mailward.app.deep_replay import PORTION, REFUSED, DeepReplay
from mailward.app.rerunning import Rerunner
from mailward.decisions import DecisionStore
from mailward.model.address import Address, ForwardPath
from mailward.model.decision import DecisionRecord, RecipientDecision
from mailward.model.ids import QueueId
from mailward.policy import RecipientFacts
from mailward.policy.replay import Replay
from mailward.testing.policies import made_policy


def test_no_record_is_lost_between_two_portions(tmp_path: Path) -> None:
    records = [
        DecisionRecord(
            id=QueueId(f"m{number:04}"),
            received_at="2026-11-02T10:00:00.000Z",
            direction="inbound",
            reverse_path="a@example.net",
            size_octets=0,
            recipients=(RecipientDecision("bob@example.org", "reject", 0.0, "rule", "no", "f:1:1"),),
        )
        for number in range(2 * PORTION + 3)
    ]
    policy, _ = made_policy("inbound", [], {}, {"rules": [{"name": "no", "when": "true", "then": "reject"}]})
    evidence = Replay(policy, lambda name: RecipientFacts.of(ForwardPath(Address("bob", "example.org"))), None)
    nobody = cast(Rerunner, SimpleNamespace(close=lambda: None))
    store = DecisionStore(tmp_path / "decisions.sqlite")
    replay = DeepReplay(store, cast(Copies, None), evidence, lambda: nobody)
    assert [record for record, _ in replay.judged(iter(records))] == records
    assert (replay.reruns.again, replay.reruns.from_evidence) == (0, {REFUSED: len(records)})
