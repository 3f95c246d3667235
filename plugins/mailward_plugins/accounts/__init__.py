"""Accounts: whose password is this? Asks the server's own directory."""

from mailward.api import Identity, LoginAttempt, Plugin, Secret, Services, hookimpl

plugin = Plugin(
    api=1, summary="Logs in the accounts of this server by their passwords and app passwords", capabilities=("credentials",)
)


@hookimpl
async def provide_identity(attempt: LoginAttempt, secret: Secret, services: Services) -> Identity | None:
    """Nobody's password is answered like a wrong one, in the same time."""
    return await services.credentials.check(attempt, secret)
