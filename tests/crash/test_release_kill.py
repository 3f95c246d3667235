"""A release from the quarantine whose process is killed outright, at each of its steps, and then repeated (T-Q-10)."""

from pathlib import Path

from support.killing import attempt
from support.releasing import Place

RELEASE = """
from support.releasing import Place

async def main():
    place = Place(Path(sys.argv[1]))
    count(place.quarantine, "begin_release", "end", "_select")
    count(place.decisions, "get", "add_event")
    (held,) = place.quarantine.list()
    await place.release.release(held)
    await place.close()

asyncio.run(main())
"""


async def test_t_q_10_killed_at_any_step_the_mail_is_in_quarantine_or_delivered_once(tmp_path: Path) -> None:
    for step in range(1, 60):
        folder = tmp_path / str(step)
        folder.mkdir()
        before = Place(folder)
        ann = before.account("ann@example.org")
        held = before.hold()
        await before.close()
        killed = attempt(RELEASE, folder, step)
        between = Place(folder)
        kept, delivered = len(between.quarantine.list()), len(between.inbox(ann))
        assert kept + delivered >= 1 and delivered <= 1, f"step {step}"
        if kept:
            await between.release.release(held)
        assert len(between.inbox(ann)) == 1, f"step {step}"
        assert between.quarantine.list() == ()
        await between.close()
        if killed == 0:
            break
    assert step > 8, "it was killed at every step before this one"
