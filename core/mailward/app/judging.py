"""A judge and what its plugins may use, for whoever judges: the server, `mailward scan`, live tests."""

from collections.abc import Callable

from mailward.api.services import Clock, Credentials, Http, Resolver, Services, Submit
from mailward.app.config import Config
from mailward.app.filters import Filters
from mailward.metering import METERS
from mailward.model.session import Role
from mailward.pipeline.answered import note
from mailward.pipeline.judge import Judge
from mailward.pipeline.shadowing import ShadowRoom
from mailward.policy.canary import canary_key
from mailward.services.blocking import BlockingPool
from mailward.services.clock import SystemClock
from mailward.services.credentials import NoCredentials
from mailward.services.http import PublicHttp
from mailward.services.kv import SqliteKeyValue
from mailward.services.log import PluginLog
from mailward.services.noted import NotedResolver
from mailward.services.resolver import DnsResolver
from mailward.services.secrets import FolderSecrets
from mailward.services.srs_keys import kept_srs_keys
from mailward.services.submit import NoSubmit
from mailward.services.unkept import UnkeptKeyValue


class PluginServices:
    """The services of every plugin of one process; key-value files are opened when a plugin is first served.

    keeps: False when nothing that a plugin writes may outlive this. submit_of: by what a plugin sends mail, where it can.
    resolver: instead of one that asks the servers of the configuration; and so for clock and http.
    """

    def __init__(
        self,
        config: Config,
        credentials: Credentials | None = None,
        *,
        keeps: bool = True,
        submit_of: Callable[[str], Submit] | None = None,
        resolver: Resolver | None = None,
        clock: Clock | None = None,
        http: Http | None = None,
    ) -> None:
        self._keeps = keeps
        self._config = config
        self._blocking = BlockingPool()
        self.resolver = NotedResolver(resolver or DnsResolver(config.dns_servers), note)
        self.clock = clock or SystemClock()
        self._http = http or PublicHttp(self.resolver, allowed=config.outbound.private_networks)
        self._credentials = credentials or NoCredentials()
        self._submit_of = submit_of
        self._kept: list[SqliteKeyValue] = []
        self._unkept: list[UnkeptKeyValue] = []
        self._made: dict[str, Services] = {}

    def of(self, plugin: str) -> Services:
        """What one plugin may use; always the same, so that it can keep something in memory."""
        if plugin not in self._made:
            self._made[plugin] = self._make(plugin)
        return self._made[plugin]

    def _make(self, plugin: str) -> Services:
        kept = SqliteKeyValue(self._config.plugin_values / f"{plugin}.sqlite")
        self._kept.append(kept)
        unkept = UnkeptKeyValue(kept, self.clock)
        self._unkept.append(unkept)
        return Services(
            self.resolver,
            self.clock,
            kept if self._keeps else unkept,
            PluginLog(plugin),
            self._blocking,
            FolderSecrets(self._config.secrets / plugin),
            self._credentials,
            self._submit_of(plugin) if self._submit_of else NoSubmit(),
            self._http,
            METERS.of(plugin),
        )

    def forget(self) -> None:
        """What plugins wrote is gone, where it does not outlive this."""
        for unkept in self._unkept:
            unkept.forget()

    def close(self) -> None:
        for kept in self._kept:
            kept.close()
        self._blocking.close()


def make_judge(
    config: Config, filters: Filters, services: PluginServices, role: Role, key: bytes | None, room: ShadowRoom | None = None
) -> Judge:
    """The judge of what comes in by listeners of this role. key: of canaries. room: where a process has several."""
    policy = filters.policies[role.value]
    return Judge(policy, filters.host, services.of, hostname=config.hostname, clock=services.clock, key=key, room=room)


def kept_canary_key(config: Config) -> bytes | None:
    """The key of the server, None where it has none yet or we may not read it."""
    try:
        return canary_key(kept_srs_keys(config.secrets)[0])
    except (OSError, ValueError):
        return None
