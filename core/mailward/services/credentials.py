"""The credentials of a process that has none: only the one that checks logins is given the real ones."""

from mailward.api.logins import LoginAttempt, Secret
from mailward.model.errors import LocalError
from mailward.model.identity import Identity


class NoCredentials:
    """`mailward.api.Credentials` everywhere else."""

    async def check(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        """Raises LocalError."""
        raise LocalError("logins are checked by the auth process alone")
