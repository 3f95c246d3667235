"""Who gets in? The real hooks of a login under a real access policy, with fake services around them."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from mailward.api import LoginAttempt, LoginOutcome, LoginProtocol, Secret, TlsFacts
from mailward.auth.chain import LoginChain
from mailward.auth.refusal_time import REFUSAL_S
from mailward.model.errors import LoginUnavailable
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.pipeline.events import Events
from mailward.pipeline.logins import Logins
from mailward.testing.making import TLS, make_login
from mailward.testing.policies import Named, Settings, made_policy
from mailward.testing.world import FakeServices


class Login:
    """Call it with a name and a password. services: around the plugins, and what they keep from call to call.

    The steps are the server's: policy, identity, second factor (not for app passwords), then everybody is told. Each call has a
    counter of failures of its own, so that no test has to wait.
    """

    def __init__(self, services: FakeServices | None = None) -> None:
        self.services = services or FakeServices()

    def __call__(
        self,
        name: str,
        password: str,
        plugins: Sequence[Named] = ("accounts",),
        *,
        code: str | None = None,
        ip: str = "192.0.2.1",
        protocol: LoginProtocol = "imap",
        mechanism: str = "PLAIN",
        tls: TlsFacts | None = TLS,
        passwords: Mapping[str, str] | None = None,
        settings: Settings | None = None,
        policy: Mapping[str, object] | None = None,
    ) -> LoginOutcome:
        """How one attempt ends.

        code: what stands behind the password. passwords: those that the plugin accounts knows from now on, by login name.
        settings: {plugin: keys as in the policy, heed included}. policy: further keys of access.yaml. Raises PluginError and
        PolicyError.
        """
        checked, host = made_policy("access", plugins, settings or {}, policy or {})
        if passwords is not None:
            self.services.credentials.passwords = dict(passwords)
        attempt = make_login(name, ip=ip, protocol=protocol, mechanism=mechanism, tls=tls)

        async def run() -> LoginOutcome:
            logins = Logins(checked, host, self.services.of)
            events = Events(lambda: logins.chain)
            outcomes: list[LoginOutcome] = []

            def told(attempt: LoginAttempt, outcome: LoginOutcome) -> None:
                outcomes.append(outcome)
                events.login_ended(attempt, outcome)

            chain = LoginChain(lambda: logins, told, _Nobody(), sleep=_at_once)
            with suppress(LoginUnavailable):
                await chain.decide(attempt, Secret(password if code is None else f"{password}${code}"))
            await events.drain()
            return outcomes[0]

        return asyncio.run(run())


class _Nobody:
    """`KeptLogins` of a server without accounts of its own: the plugins know them all."""

    async def account_of(self, name: str) -> AccountId | None:
        return None

    async def why_wrong(self, attempt: LoginAttempt, secret: Secret) -> str:
        return "wrong name or password"

    async def refusal_s(self) -> float:
        return REFUSAL_S

    async def salt_of(self, name: str) -> tuple[bytes, int]:
        return b"salt", 4096

    async def revoked(self, identities: Collection[Identity]) -> frozenset[Identity]:
        return frozenset()

    async def is_disabled(self, account: AccountId) -> bool:
        return False

    def sufficed(self, identity: Identity, secret: Secret) -> None:
        pass


async def _at_once(_: float) -> None:
    pass
