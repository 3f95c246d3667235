"""An answer is asked for once in a period; an error each time."""

from collections.abc import Iterator

import pytest

from mailward.services.kept import kept_for


def test_an_answer_is_kept_for_its_period() -> None:
    now, asked = [0.0], []

    def ask() -> int:
        asked.append(now[0])
        return len(asked)

    recent = kept_for(1.0, ask, lambda: now[0])
    assert [recent(), recent()] == [1, 1]
    now[0] = 0.99
    assert recent() == 1
    now[0] = 1.0
    assert [recent(), recent()] == [2, 2] and asked == [0.0, 1.0]


def test_an_error_is_not_kept() -> None:
    answers: Iterator[OSError | int] = iter((OSError("full"), 7))

    def ask() -> int:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    recent = kept_for(60.0, ask, lambda: 0.0)
    with pytest.raises(OSError, match="full"):
        recent()
    assert recent() == 7
