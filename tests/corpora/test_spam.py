"""The classifier on public corpora: learns the train part, is measured on the dev part of the same corpus.

(1-ROCA)% is the area above the ROC curve: the share of pairs of one spam and one ham that are ranked the wrong way round.
The bounds are a little above what was measured, so that a change which makes it worse is seen.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import pytest

from mailward.api import MessageView
from mailward_plugins.spam.bayes import probability
from mailward_plugins.spam.tokens import tokens_of
from support.corpora import corpus, corpus_members
from support.mail import crlf


def _messages(name: str) -> Iterator[tuple[bool, bool, frozenset[bytes]]]:
    """Whether it is spam, whether it is for training, and the tokens of each message."""
    members = corpus_members("spam", f"{name}.tar.xz")
    for line in corpus("spam", f"{name}.index.tsv").read_text().splitlines()[1:]:
        path, label, _, part, *_ = line.split("\t")
        yield label == "spam", part == "train", tokens_of(MessageView(crlf(members[path])))


def _area_above(spam: list[float], ham: list[float]) -> float:
    ordered = sorted(spam)
    wrong = sum((bisect_left(ordered, value) + bisect_right(ordered, value)) / 2 for value in ham)
    return 100 * wrong / (len(spam) * len(ham))


@pytest.mark.parametrize(("name", "area_limit", "ham_limit"), [("spamassassin", 0.15, 0.7), ("csdmc2010", 0.1, 0.4)])
def test_ranking_and_ham_called_spam(name: str, area_limit: float, ham_limit: float) -> None:
    learnt: dict[bytes, list[int]] = {}
    lessons = [0, 0]
    waiting = []
    for is_spam, is_train, tokens in _messages(name):
        if not is_train:
            waiting.append((is_spam, tokens))
            continue
        lessons[not is_spam] += 1
        for token in tokens:
            learnt.setdefault(token, [0, 0])[not is_spam] += 1
    found: dict[bool, list[float]] = {True: [], False: []}
    for is_spam, tokens in waiting:
        seen = {token: (learnt[token][0], learnt[token][1]) for token in tokens if token in learnt}
        found[is_spam].append(probability(seen, *lessons))
    ham_percent = 100 * sum(value >= 0.8 for value in found[False]) / len(found[False])
    spam_percent = 100 * sum(value >= 0.8 for value in found[True]) / len(found[True])
    area = _area_above(found[True], found[False])
    print(f"{name}: (1-ROCA)% {area:.4f}, ham called spam {ham_percent:.2f} %, spam called spam {spam_percent:.2f} %")
    assert area <= area_limit and ham_percent <= ham_limit and spam_percent >= 85
