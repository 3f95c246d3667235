"""What DNS said is noted for the message that it was asked for, bounded, whoever asks."""

import asyncio

import pytest

from mailward.api import DnsTemporaryError
from mailward.model.dns import DnsAnswer
from mailward.model.receipt import Heard, Receipt
from mailward.pipeline.answered import MOST_ANSWERS, MOST_OCTETS, Answered, note, noting
from mailward.services.noted import GIVEN_UP, NotedResolver
from mailward.testing.fakes import FakeZone

FOUND = DnsAnswer("found", ("v=spf1 -all",), True, "other.example")


async def test_each_message_gets_what_was_asked_for_it() -> None:
    zone = FakeZone()
    zone.add("a.example", "TXT", "for a")
    zone.add("b.example", "TXT", "for b")
    zone.fail("broken.example", "A")
    resolver = NotedResolver(zone, note)

    async def plugin(name: str) -> None:
        await asyncio.sleep(0)
        await resolver.resolve(f"{name}.EXAMPLE.", "TXT")
        await asyncio.create_task(resolver.resolve("none.example", "MX"))
        with pytest.raises(DnsTemporaryError):
            await resolver.resolve("broken.example", "A")

    async def message(name: str) -> Answered:
        answered = Answered()
        with noting(answered):
            await asyncio.gather(plugin(name), plugin(name))
        return answered

    a, b = await asyncio.gather(message("a"), message("b"))
    await resolver.resolve("a.example", "TXT")  # for nobody
    for answered, name in ((a, "a"), (b, "b")):
        assert [(one.name, one.record_type) for one in answered.heard] == [
            (f"{name}.example", "TXT"),
            ("none.example", "MX"),
            ("broken.example", "A"),
        ]
        assert [
            one.answer if isinstance(one.answer, str) else one.answer.records or one.answer.status for one in answered.heard
        ] == [
            (f"for {name}",),
            "nxdomain",
            "no usable answer for broken.example A",
        ]


async def test_who_gave_up_waiting_had_no_answer() -> None:
    class Silent:
        async def resolve(self, name: str, record_type: object) -> DnsAnswer:
            await asyncio.get_running_loop().create_future()
            return FOUND

    answered = Answered()
    with noting(answered):
        asked = asyncio.create_task(NotedResolver(Silent(), note).resolve("a.example", "A"))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert answered.heard == (Heard("a.example", "A", GIVEN_UP),)


def test_a_stranger_cannot_make_it_large() -> None:
    many, long, aliased = Answered(), Answered(), Answered()
    for number in range(MOST_ANSWERS + 7):
        many.note(f"{number}.example", "A", "")
    for number in range(4):
        long.note(f"{number}.example", "TXT", DnsAnswer("found", ("x" * (MOST_OCTETS // 3),)))
        aliased.note(f"{number}.example", "A", DnsAnswer("found", (), canonical_name="x" * (MOST_OCTETS // 3)))
    assert (len(aliased), aliased.cut) == (2, 2)
    assert (len(many), many.cut) == (MOST_ANSWERS, 7)
    assert (len(long), long.cut) == (2, 2)
    assert (len(both := long.with_earlier(many)), both.cut) == (MOST_ANSWERS, 7 + 2 + 2)


def test_the_first_answer_stays() -> None:
    answered = Answered()
    answered.note("a.example", "TXT", "SERVFAIL")
    answered.note("A.example.", "TXT", FOUND)
    assert answered.heard == (Heard("a.example", "TXT", "SERVFAIL"),)


def test_a_receipt_comes_back_as_it_was() -> None:
    receipt = Receipt(
        (Heard("a.example", "TXT", FOUND), Heard("b.example", "A", "")), 3, "ESMTPS", "other.example", b"h" * 32, b"w" * 32
    )
    assert Receipt.from_octets(receipt.to_octets()) == receipt
    for octets in (b"", receipt.to_octets()[:-5], b"x" + receipt.to_octets()):
        with pytest.raises(ValueError, match="no receipt"):
            Receipt.from_octets(octets)
