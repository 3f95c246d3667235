"""Recipients of relay domains: what is remembered of the next hop's word, and for how long."""

import asyncio

import pytest

from mailward.formats.address import parse_mailbox
from mailward.intake import verifying
from mailward.intake.verifying import MOST_ASKED, NOT_VERIFIED, REFUSED_THERE, RecipientVerifier
from mailward.model.address import ForwardPath


def path(text: str) -> ForwardPath:
    return ForwardPath(parse_mailbox(text))


BOB, EVE = path("bob@far.test"), path("eve@far.test")


class NextHop:
    """Answers as told, once `open` is set. asked: how often, by recipient."""

    def __init__(self, answers: dict[str, bool | None]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def ask(self, forward_path: ForwardPath) -> bool | None:
        self.asked.append(str(forward_path))
        await self.open.wait()
        return self.answers.get(str(forward_path))


async def test_a_yes_and_a_no_are_remembered() -> None:
    hop = NextHop({"bob@far.test": True, "eve@far.test": False})
    verifier = RecipientVerifier(hop.ask, is_strict=True)
    for _ in range(3):
        assert await verifier.refusal(BOB) is None
        assert await verifier.refusal(EVE) is REFUSED_THERE
    assert hop.asked == ["bob@far.test", "eve@far.test"]


@pytest.mark.parametrize(("is_strict", "refusal"), [(False, None), (True, NOT_VERIFIED)])
async def test_t_relay_20_a_question_that_failed_is_no_no(
    monkeypatch: pytest.MonkeyPatch, is_strict: bool, refusal: object
) -> None:
    monkeypatch.setattr(verifying, "UNKNOWN_S", 0.0)
    hop = NextHop({})
    verifier = RecipientVerifier(hop.ask, is_strict=is_strict)
    assert await verifier.refusal(BOB) is refusal
    hop.answers["bob@far.test"] = True
    assert await verifier.refusal(BOB) is None


async def test_a_next_hop_that_is_down_is_not_asked_for_each_message() -> None:
    hop = NextHop({})
    verifier = RecipientVerifier(hop.ask, is_strict=True)
    for _ in range(5):
        assert await verifier.refusal(BOB) is NOT_VERIFIED
    assert len(hop.asked) == 1


async def test_answers_expire_not_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    hop = NextHop({"bob@far.test": False, "eve@far.test": False})
    chances = iter([0.0, 1.0, 0.5])
    verifier = RecipientVerifier(hop.ask, is_strict=True, chance=lambda: next(chances))
    await verifier.refusal(BOB)
    await verifier.refusal(EVE)
    now += verifying.NO_S
    await verifier.refusal(BOB)
    await verifier.refusal(EVE)
    assert hop.asked == ["bob@far.test", "eve@far.test", "bob@far.test"]


async def test_who_asks_at_the_same_time_shares_an_answer_and_nobody_can_take_it_away() -> None:
    hop = NextHop({"bob@far.test": True})
    hop.open.clear()
    verifier = RecipientVerifier(hop.ask, is_strict=True)
    first, second = [asyncio.create_task(verifier.refusal(BOB)) for _ in range(2)]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    hop.open.set()
    assert await second is None
    assert hop.asked == ["bob@far.test"]


async def test_t_dos_16_the_table_and_the_questions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "MOST_KEPT", 10)
    hop = NextHop({})
    verifier = RecipientVerifier(hop.ask, is_strict=True)
    for number in range(50):
        await verifier.refusal(path(f"p{number}@far.test"))
    assert len(verifier._kept) == 10
    hop.open.clear()
    waiting = [asyncio.create_task(verifier.refusal(path(f"q{number}@far.test"))) for number in range(MOST_ASKED)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await verifier.refusal(BOB) is NOT_VERIFIED
    hop.open.set()
    await asyncio.gather(*waiting)
    assert len(hop.asked) == 50 + MOST_ASKED
