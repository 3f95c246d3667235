"""How likely is spam, given how often each token was seen? Robinson's smoothing and Fisher's combination, pure.

G. Robinson, "A statistical approach to the spam problem" (2003): each token's probability is drawn towards 0.5 by little
evidence; the tokens that say most are combined by Fisher's method, once for spam and once for ham, so that contradicting
evidence ends in the middle and not at an extreme.
"""

import math
from collections.abc import Iterable, Mapping

STRENGTH = 0.3
"""Weight of the assumption that an unknown token says nothing, in messages."""
TELLING = 0.1
"""Tokens nearer to 0.5 than this are left out."""
MOST_TOKENS = 300
BALANCE = 10.0
"""A class that was learnt more than so many times as often as the other counts as that many: ten lessons of ham must not
be drowned by a thousand of spam (T-PLUG-13)."""


def probability(seen: Mapping[bytes, tuple[int, ...]], learnt_spam: int, learnt_ham: int) -> float:
    """0 to 1; 0.5 for no evidence. seen: (times in spam, times in ham) of each known token of the message."""
    clues = sorted((_token(row, learnt_spam, learnt_ham) for row in seen.values()), key=lambda p: -abs(p - 0.5))
    telling = [p for p in clues[:MOST_TOKENS] if abs(p - 0.5) >= TELLING]
    if not telling:
        return 0.5
    spam = _chi_squared(-2.0 * sum(math.log(1.0 - p) for p in telling), 2 * len(telling))
    ham = _chi_squared(-2.0 * sum(math.log(p) for p in telling), 2 * len(telling))
    return (1.0 + ham - spam) / 2.0


def _token(row: tuple[int, ...], learnt_spam: int, learnt_ham: int) -> float:
    spam, ham = (*row, 0, 0)[:2]
    spam_share = spam / max(learnt_spam, 1)
    ham_share = ham / max(learnt_ham, 1)
    if spam_share + ham_share == 0:
        return 0.5
    raw = spam_share / (spam_share + ham_share)
    count = min(spam + ham, BALANCE * max(1, min(learnt_spam, learnt_ham)))
    return min(max((STRENGTH * 0.5 + count * raw) / (STRENGTH + count), 1e-4), 1 - 1e-4)


def _chi_squared(value: float, degrees: int) -> float:
    """The chance of a chi-squared value at least this large, for an even number of degrees of freedom."""
    half = value / 2.0
    if half > 700:  # e**-half would be zero; so is the chance for as few degrees as we have
        return 0.0
    term = total = math.exp(-half)
    for index in range(1, degrees // 2):
        term *= half / index
        total += term
    return min(total, 1.0)


def counts(tokens: Iterable[bytes], *, spam: int, ham: int) -> dict[bytes, tuple[int, ...]]:
    """What to add to the counters for a lesson; negative amounts take one back."""
    return {token: (spam, ham) for token in tokens}
