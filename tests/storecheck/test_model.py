"""Every backend beside the oracle of storecheck, under random lists of ops from several writers."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from support.backends import BACKENDS
from support.storecheck import Backend, StoreMachine

SETTINGS = settings(max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", BACKENDS)
def test_t_imap_16_a_backend_answers_as_the_oracle_and_a_uid_stands_for_one_message(backend: str) -> None:
    class Machine(StoreMachine):
        def make_backend(self) -> Backend:
            return BACKENDS[backend]()

    run_state_machine_as_test(Machine, settings=SETTINGS)
