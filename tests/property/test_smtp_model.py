"""The SMTP machine against the reference of `support.smtp_reference`: any commands in any order, whole or octet by octet."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from support.smtp_reference import LISTENERS, MOVES, OPENINGS, Move, Walk

SEQUENCES = 100_000
MOST_MOVES = 16


@settings(max_examples=500, deadline=None)
@given(st.data(), st.sampled_from(LISTENERS), st.booleans(), st.lists(st.sampled_from(MOVES), max_size=40))
def test_t_state_10_any_order_of_commands_gets_the_replies_of_the_reference(
    data: st.DataObject, listener: str, octet_by_octet: bool, moves: list[Move]
) -> None:
    opening = data.draw(st.sampled_from(OPENINGS[listener]))
    Walk(listener, octet_by_octet=octet_by_octet).go([*opening, *moves])


def test_t_state_10_so_do_a_hundred_thousand_walks() -> None:
    chance = random.Random()
    seed = chance.randrange(2**32)
    chance.seed(seed)
    for number in range(SEQUENCES):
        listener = chance.choice(LISTENERS)
        moves = [*chance.choice(OPENINGS[listener]), *chance.choices(MOVES, k=chance.randrange(1, MOST_MOVES))]
        try:
            Walk(listener).go(moves)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, walk {number}: {listener}, {moves}: {error}") from error
