"""The moments at which a policy is asked, in their order."""

from typing import Literal, get_args

Stage = Literal["auth", "mail", "rcpt", "message"]
STAGES: tuple[Stage, ...] = get_args(Stage)


def latest(*stages: Stage) -> Stage:
    """The last of at least one stage."""
    return max(stages, key=STAGES.index)
