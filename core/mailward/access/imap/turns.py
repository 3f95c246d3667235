"""Sorting that leaves turns to others: one call that sorts very many holds the interpreter to its end, and with it the loop, in
whatever thread it is (T-DOS-08)."""

from collections.abc import Callable, Sequence
from heapq import merge
from typing import TypeVar

T = TypeVar("T")

_RUN = 65_536
"""Are sorted by one call, which takes some 20 ms."""


def sorted_in_turns(values: Sequence[T], key: Callable[[T], int | str]) -> list[T]:
    """As `sorted`; equal ones stay in order."""
    runs = [sorted(values[start : start + _RUN], key=key) for start in range(0, len(values), _RUN)]
    return runs[0] if len(runs) == 1 else [*merge(*runs, key=key)]
