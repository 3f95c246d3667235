"""One grammar of durations (policies, mailward.yaml, options)."""

from datetime import timedelta

import pytest

from mailward.formats.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("1.5m", timedelta(seconds=90)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("0s", timedelta()),
        ("999999d", timedelta(days=999999)),
    ],
)
def test_a_number_and_its_unit(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "30", "s", "-1s", "+1s", "1 s", "1S", "1w", "1s ", "1s\n", "1e3s", ".5s", "1000000s", "\u0663\u0660s"]
)
def test_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="a duration with its unit was expected"):
        parse_duration(text)
