"""The wiring of the process that checks logins."""

from mailward.app.config import Config
from mailward.app.filters import Filters
from mailward.app.judging import PluginServices
from mailward.auth.acquaintances import Acquaintances
from mailward.auth.authenticator import ChainAuthenticator
from mailward.auth.chain import LoginChain
from mailward.auth.credentials import KeptCredentials
from mailward.auth.passwords import PasswordChecker
from mailward.directory import CredentialStore
from mailward.net.authd import AuthServer
from mailward.pipeline.events import Events
from mailward.pipeline.logins import Logins
from mailward.services.clock import SystemClock
from mailward.services.known import KnownSources
from mailward.services.kv import SqliteKeyValue


class AuthRole:
    """Checks logins for all protocols; the only role that reads passwords, app passwords and what proves a second factor."""

    def __init__(self, config: Config, filters: Filters, known: KnownSources) -> None:
        """known: what is told of each login that is accepted."""
        self._store = CredentialStore(config.directory_file)
        self._passwords = PasswordChecker()
        kept = KeptCredentials(self._store, self._passwords, SystemClock(), known)
        self._services = PluginServices(config, kept)
        self._logins = self._make_logins(filters)
        self._events = Events(lambda: self._logins.chain)
        self._remembered = SqliteKeyValue(config.data / "logins.sqlite")
        acquaintances = Acquaintances(self._remembered)
        chain = LoginChain(lambda: self._logins, self._events.login_ended, kept, acquaintances=acquaintances, known=known)
        self._server = AuthServer(config.auth_socket, ChainAuthenticator(chain, kept), chain)

    def _make_logins(self, filters: Filters) -> Logins:
        return Logins(filters.policies["access"], filters.host, self._services.of)

    async def start(self) -> None:
        await self._server.start()

    def reload(self, config: Config, filters: Filters) -> None:
        """Attempts under way keep the old plugins. config: nothing of it is read again."""
        self.use(filters)

    def use(self, filters: Filters) -> None:
        """The same, of the filters alone."""
        self._logins = self._make_logins(filters)

    async def stop(self) -> None:
        await self._server.close()
        await self._events.stop()
        self._services.close()
        self._passwords.close()
        self._remembered.close()
        self._store.close()
