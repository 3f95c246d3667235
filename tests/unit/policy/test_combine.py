"""Several recipients, one reply (design section 4)."""

import pytest

from mailward.model.replies import LOCAL_ERROR, REJECTED
from mailward.model.reply import reply
from mailward.model.verdict import Source, Verdict
from mailward.policy import Ruling, combine
from mailward.policy.ruling import separate

REPLIES = {Verdict.REJECT: REJECTED, Verdict.TEMPFAIL: LOCAL_ERROR}


def ruling(word: str, recipient: str) -> Ruling:
    heeded = word == "heeded"
    verdict = Verdict.REJECT if heeded else Verdict(word)
    return Ruling(
        recipient,
        verdict,
        0.0,
        Source("default"),
        reply=REPLIES.get(verdict),
        heeded=frozenset({"antivirus"}) if heeded else frozenset(),
    )


@pytest.mark.parametrize(
    ("words", "code", "result"),
    [
        ("accept", 250, "accept"),
        ("reject", 554, "reject"),
        ("tempfail", 451, "tempfail"),
        ("accept junk quarantine discard", 250, "accept junk quarantine discard"),
        ("accept tempfail", 451, "tempfail tempfail"),
        ("reject tempfail", 451, "tempfail tempfail"),
        ("heeded tempfail", 451, "tempfail tempfail"),
        ("reject reject", 554, "reject reject"),
        ("accept reject", 250, "accept quarantine"),
        ("discard reject", 250, "discard quarantine"),
        ("heeded accept", 554, "reject reject"),
        ("accept junk heeded reject", 554, "reject reject reject reject"),
    ],
)
def test_one_reply(words: str, code: int, result: str) -> None:
    outcome = combine([ruling(word, f"r{index}@example.org") for index, word in enumerate(words.split())], "q1")
    assert outcome.reply.code == code
    assert " ".join(decision.verdict for decision in outcome.decisions) == result
    for word, decision in zip(words.split(), outcome.decisions, strict=True):
        wanted = "reject" if word == "heeded" else word
        assert decision.wanted == ("" if wanted == decision.verdict else wanted)


def test_the_id_is_in_every_reply() -> None:
    assert str(combine([ruling("accept", "a")], "q1").reply) == "250 2.0.0 Accepted, id q1"
    assert str(combine([ruling("reject", "a")], "q1").reply) == "554 5.7.1 Message rejected by policy (id q1)"


def test_the_heeded_rejection_speaks() -> None:
    virus = Ruling("b", Verdict.REJECT, 0.0, Source("rule"), reply=reply(554, "5.7.1", "Eicar"), heeded=frozenset({"antivirus"}))
    assert combine([ruling("reject", "a"), virus]).reply.lines == ("Eicar",)


@pytest.mark.parametrize(
    ("words", "codes", "common"),
    [
        ("accept", (250,), 250),
        ("accept junk quarantine discard", (250, 250, 250, 250), 250),
        ("reject accept tempfail", (554, 250, 451), 250),
        ("heeded accept", (554, 250), 250),
        ("reject tempfail", (554, 451), 451),
        ("reject reject", (554, 554), 554),
    ],
)
def test_reply_for_each_recipient(words: str, codes: tuple[int, ...], common: int) -> None:
    rulings = [ruling(word, f"{number}@example.org") for number, word in enumerate(words.split())]
    outcome = separate(rulings, "an-id")
    assert tuple(answer.code for answer in outcome.replies) == codes
    assert outcome.reply.code == common
    assert all("an-id" in str(answer) for answer in (*outcome.replies, outcome.reply))
    assert outcome.rulings == tuple(rulings)
