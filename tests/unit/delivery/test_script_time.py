"""What the scripts of an account may take of the processor, in an hour."""

import pytest

from mailward.delivery.script_time import ScriptTime
from mailward.model.ids import AccountId

ANN = AccountId("ann")


@pytest.mark.parametrize(("run_s", "runs"), [(0.000_13, 9231), (0.000_4, 3000), (0.3, 4), (2.0, 1)])
def test_t_imap_20_runs_of_any_length_use_it_up(run_s: float, runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailward.delivery.script_time.monotonic", lambda: 1000.0)
    monkeypatch.setattr("mailward.delivery.script_time.PROCESSOR_S_PER_HOUR", 1.2)
    time, count = ScriptTime(), 0
    while not time.is_spent(ANN):
        time.charge(ANN, run_s)
        count += 1
    assert abs(count - runs) <= 1
    assert not time.is_spent(AccountId("bob"))
