"""Who gets in? The real hooks of a login under a real access policy, with fake services around them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mailward.api import Identity, LoginAttempt, LoginOutcome, LoginProtocol, Secret, Services, TlsFacts
from mailward.model.errors import HooksUnavailable
from mailward.pipeline.logins import Logins
from mailward.testing.fakes import FakeClock, FakeCredentials, FakeZone, MemoryKeyValue, MemoryLog, MemorySecrets, RunDirectly
from mailward.testing.policies import Named, Settings, made_policy

TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")


class Login:
    """Call it with a name and a password. What plugins keep (`kv`, `log`) stays between the calls of one test, by plugin name.

    The steps are the server's: policy, identity, second factor (not for app passwords), then everybody is told. The server's own
    counter of failures, which would make the test wait, is left out.
    """

    def __init__(self, clock: FakeClock | None = None) -> None:
        self._clock = clock or FakeClock()
        self.kv: dict[str, MemoryKeyValue] = {}
        self.log: dict[str, MemoryLog] = {}

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

        code: what stood behind the password. passwords: those that the plugin accounts knows, by login name. settings: {plugin:
        keys as in the policy, heed included}. policy: further keys of access.yaml. Raises PluginError and PolicyError.
        """
        checked, host = made_policy("access", plugins, settings or {}, policy or {})
        credentials = FakeCredentials(passwords)
        attempt = LoginAttempt(protocol, "test", ip, tls, mechanism, name)

        async def run() -> LoginOutcome:
            logins = Logins(checked, host, lambda plugin: self._services(plugin, credentials))
            outcome = await _outcome(logins, attempt, Secret(password), code)
            logins.told(attempt, outcome)
            await logins.drain()
            return outcome

        return asyncio.run(run())

    def _services(self, name: str, credentials: FakeCredentials) -> Services:
        kv = self.kv.setdefault(name, MemoryKeyValue())
        log = self.log.setdefault(name, MemoryLog())
        return Services(FakeZone(), self._clock, kv, log, RunDirectly(), MemorySecrets(), credentials)


async def _outcome(logins: Logins, attempt: LoginAttempt, secret: Secret, code: str | None) -> LoginOutcome:
    try:
        verdict = await logins.inspect(attempt)
        if verdict != "accept":
            return LoginOutcome("refused" if verdict == "reject" else "unavailable", None, f"the policy says {verdict}")
        identity = await logins.identify(attempt, secret)
        if identity is None:
            return LoginOutcome("refused", None, "wrong name or password")
        if identity.app_password:
            return LoginOutcome("accepted", identity, "app password")
        return await _with_factor(logins, attempt, identity, code)
    except HooksUnavailable as error:
        return LoginOutcome("unavailable", None, str(error))


async def _with_factor(logins: Logins, attempt: LoginAttempt, identity: Identity, code: str | None) -> LoginOutcome:
    answer = await logins.second_factor(identity, attempt, code)
    if answer == "accepted":
        return LoginOutcome("accepted", replace(identity, second_factor=True), "password and second factor")
    if answer is not None:
        return LoginOutcome("refused", None, f"second factor {answer}")
    if code is not None:
        return LoginOutcome("refused", None, "a code, and no second factor to check it")
    return LoginOutcome("accepted", identity, "password")
