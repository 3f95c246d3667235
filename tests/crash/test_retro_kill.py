"""A retro-action whose process is killed outright, at each of its steps, and then settled (T-Q-10)."""

from pathlib import Path

import pytest

from mailward.model.ids import QueueId
from support.killing import attempt
from support.retros import ANN, RetroPlace

TAKE = """
from mailward.model.ids import AccountId, QueueId
from support.retros import RetroPlace

async def main():
    place, account = RetroPlace(Path(sys.argv[1])), AccountId(sys.argv[3])
    count(place.log, "begin_item", "end_item")
    count(place.quarantine, "add", "find")
    count(place.decisions, "get", "add_event")
    store = place.store.open(account)
    count(store, "apply")
    await place.actions.act(place.begin(), place.target(place.decisions.get(QueueId("q1")), account))
    await place.close()

asyncio.run(main())
"""


@pytest.mark.timeout(600)
async def test_t_q_10_killed_at_any_step_the_copy_is_in_its_mailbox_or_in_quarantine_and_never_in_both_for_long(
    tmp_path: Path,
) -> None:
    for step in range(1, 60):
        folder = tmp_path / str(step)
        folder.mkdir()
        before = RetroPlace(folder)
        ann = before.account(ANN)
        record = before.deliver(ann, id=QueueId("q1"))
        await before.close()
        killed = attempt(TAKE, folder, step, ann)
        between = RetroPlace(folder)
        assert len(between.quarantine.list()) + len(between.mail(ann)) >= 1, f"step {step}"
        await between.actions.settle()
        kept, delivered = len(between.quarantine.list()), len(between.mail(ann))
        assert kept + delivered == 1, f"step {step}"
        events = between.story(record.id)
        assert events == ["taken into quarantine by retro-action R1"] * kept, f"step {step}"
        await between.close()
        if killed == 0:
            break
    assert kept == 1 and step > 8, "it was killed at every step before this one"
