"""What is kept of a secret for SCRAM, and what proves a secret without showing it (RFC 5802 section 3)."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What is kept of a secret: enough to check a proof, not to make one."""

    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


class Proof(Protocol):
    """What a client offered in place of its secret, to be tried against keys."""

    def is_of(self, keys: ScramKeys) -> bool:
        """Was it made with the secret these keys are of?"""
        ...
