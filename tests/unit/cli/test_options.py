"""What options mean, before anything is done."""

from datetime import UTC, datetime

import pytest
import typer

from mailward.cli.options import duration_of


def test_no_duration_leads_out_of_the_calendar() -> None:
    now = datetime.now(UTC)
    assert now - duration_of("999999d") < now < now + duration_of("999999d")


@pytest.mark.parametrize("text", ["soon", "7", "\u0667d"])
def test_what_is_no_duration_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.Exit) as ended:
        duration_of(text)
    assert ended.value.exit_code == 64
