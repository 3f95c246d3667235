"""The moments at which a policy is asked, in their order."""

from typing import Literal

Stage = Literal["mail", "rcpt", "message"]
STAGES: tuple[Stage, ...] = ("mail", "rcpt", "message")


def latest(*stages: Stage) -> Stage:
    """The last of at least one stage."""
    return max(stages, key=STAGES.index)
