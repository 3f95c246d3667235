"""Conditions on a column of numbers, as SQL and its parameters."""

from collections.abc import Sequence


def number_clause(column: str, numbers: Sequence[int]) -> tuple[str, tuple[int | str, ...]]:
    """A condition that a column is one of these, and its parameters. numbers: ascending."""
    if numbers and numbers[-1] - numbers[0] + 1 == len(numbers):
        return f"{column} BETWEEN ? AND ?", (numbers[0], numbers[-1])
    return f"{column} IN (SELECT value FROM json_each(?))", (f"[{','.join(map(str, numbers))}]",)  # noqa: S608 - a name of ours


def uid_clause(uids: Sequence[int]) -> tuple[str, tuple[int | str, ...]]:
    """A condition on the column uid, and its parameters. uids: ascending."""
    return number_clause("uid", uids)
