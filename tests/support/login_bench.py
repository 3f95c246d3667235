"""An account whose logins are checked as the server checks them, over a real directory, through real exchanges."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import scramp

from mailward.api.logins import LoginProtocol
from mailward.auth.authenticator import ChainAuthenticator
from mailward.auth.chain import LoginChain
from mailward.auth.credentials import AppPasswordWish, KeptCredentials, add_app_password, set_password
from mailward.auth.exchange import Challenge, LoginPeer, Step, plain_response
from mailward.auth.failures import FailureLimits
from mailward.auth.passwords import PasswordChecker
from mailward.directory import CredentialStore, Directory, password_id
from mailward.model.address import Address
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.testing import FakeClock
from support.plain_book import DirectHooks

NAME = "alice@example.org"
ALL: tuple[LoginProtocol, ...] = ("smtp", "imap", "pop3", "managesieve")


class Bench:
    """An account with the password "right", and whoever logs in to it."""

    def __init__(self, path: Path) -> None:
        directory = Directory(path)
        directory.add_domain("example.org")
        self.account = directory.add_account(Address("Alice", "example.org"))
        directory.add_address(Address("a", "example.org"), self.account)
        directory.close()
        self.store = CredentialStore(path)
        set_password(self.store, self.account, "right")
        self.clock = FakeClock()
        self.passwords = PasswordChecker(workers=1)
        self.restart()

    def restart(self) -> None:
        """Of what checks logins, with what is kept."""
        self.kept = KeptCredentials(self.store, self.passwords, self.clock)
        self.hooks = DirectHooks(self.kept)
        self.slept: list[float] = []
        self.chain = LoginChain(lambda: self.hooks, self.hooks.told, self.kept, limits=FailureLimits(free=50), sleep=self._sleep)
        self.authenticator = ChainAuthenticator(self.chain, self.kept)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    @property
    def alice(self) -> Identity:
        return self.by_main_password(self.account, "Alice@example.org")

    def by_main_password(self, account: AccountId, user: str) -> Identity:
        return Identity(account, user, credential=password_id(self.store.of(account).password_hash or ""))

    def app_password(self, name: str = "phone", scopes: tuple[LoginProtocol, ...] = ALL, days: int | None = None) -> str:
        now = self.clock.now()
        expires_at = None if days is None else now + timedelta(days=days)
        return add_app_password(self.store, self.account, AppPasswordWish(name, scopes, now, expires_at))

    async def plain(self, password: str, name: str = NAME, protocol: LoginProtocol = "imap") -> Step:
        exchange = self.authenticator.begin(LoginPeer(protocol, "l", "192.0.2.1", None), "PLAIN")
        return await exchange.step(plain_response(name.encode(), password.encode("utf-8", "surrogatepass")))

    async def scram(
        self, password: str, name: str = NAME, protocol: LoginProtocol = "imap", at_final: Callable[[], None] = lambda: None
    ) -> Step:
        """As far as it goes; the server's own proof is checked by the client."""
        client = scramp.ScramClient(["SCRAM-SHA-256"], name, password)
        exchange = self.authenticator.begin(LoginPeer(protocol, "l", "192.0.2.1", None), "SCRAM-SHA-256")
        first = await exchange.step(client.get_client_first().encode())
        assert isinstance(first, Challenge)
        client.set_server_first(first.octets.decode())
        at_final()
        final = await exchange.step(client.get_client_final().encode())
        if not isinstance(final, Challenge):
            return final
        client.set_server_final(final.octets.decode())
        return await exchange.step(b"")

    async def salt(self, name: str) -> bytes:
        exchange = self.authenticator.begin(LoginPeer("imap", "l", "192.0.2.1", None), "SCRAM-SHA-256")
        first = await exchange.step(b"n,,n=%b,r=abc" % name.encode())
        assert isinstance(first, Challenge)
        return first.octets.split(b",", 1)[1]
