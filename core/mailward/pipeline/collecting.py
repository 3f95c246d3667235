"""What do the plugins add to the command line and to DNS? Asked of every enabled plugin; one that fails is only reported."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from mailward.api.commands import AccountCommand, CommandAnswer, CommandCall, ServerCall, ServerCommand
from mailward.api.dns import DnsRecord
from mailward.model.address import Address
from mailward.model.ids import AccountId
from mailward.pipeline.answers import read_commands, read_records
from mailward.pipeline.called import Called, Enabled
from mailward.pipeline.chain import Chain
from mailward.pipeline.enabling import ServicesOf, enabled_plugins
from mailward.pipeline.plugins import PluginHost
from mailward.pipeline.stages import LIFE_STAGE_S
from mailward.policy import Direction, Policy

T = TypeVar("T")

ORDER: tuple[Direction, ...] = ("outbound", "access", "submission", "inbound")
"""A plugin that several policies enable has the settings of the first of these."""


@dataclass(frozen=True, slots=True)
class Collected(Generic[T]):
    """What one plugin adds. summary: what it says of itself. problem: why it could not be asked, "" when it could."""

    plugin: str
    summary: str
    values: tuple[T, ...]
    problem: str = ""


class Collecting:
    """policies: by direction; those that are not there are passed over. Raises PluginError."""

    def __init__(self, policies: Mapping[Direction, Policy], host: PluginHost, services_of: ServicesOf) -> None:
        self._enabled: dict[str, Enabled] = {}
        for direction in ORDER:
            if direction in policies:
                for one in enabled_plugins(policies[direction], host, services_of):
                    if one.mode == "enforce":
                        self._enabled.setdefault(one.name, one)
        self._chain = Chain(self._enabled.values())

    async def commands(self) -> tuple[Collected[AccountCommand | ServerCommand], ...]:
        """The subcommands that plugins bring."""
        return self._collected(await self._chain.collect("collect_commands", {}, read_commands, _deadline(), tolerant=True))

    async def dns_records(self, domain: str) -> tuple[Collected[DnsRecord], ...]:
        """The DNS records that this domain should publish for the plugins' work."""
        arguments = {"domain": domain}
        return self._collected(
            await self._chain.collect("collect_dns_records", arguments, read_records, _deadline(), tolerant=True)
        )

    async def run_server(self, plugin: str, command: ServerCommand, options: Mapping[str, str]) -> CommandAnswer:
        """As `run`, for a command that is about no account."""
        one = self._enabled[plugin]
        return await command.run(ServerCall(options, one.settings, one.services))

    async def run(
        self, plugin: str, command: AccountCommand, account: AccountId, address: Address, arguments: Mapping[str, str]
    ) -> CommandAnswer:
        """Carry out a command. Raises CommandFailed, and whatever else the plugin raises."""
        one = self._enabled[plugin]
        return await command.run(CommandCall(account, address, arguments, one.settings, one.services))

    def _collected(self, answers: tuple[Called[tuple[T, ...]], ...]) -> tuple[Collected[T], ...]:
        return tuple(
            Collected(
                called.call.plugin,
                self._enabled[called.call.plugin].plugin.declaration.summary,
                called.value or (),
                called.call.error or "",
            )
            for called in answers
        )


def _deadline() -> float:
    return time.monotonic() + LIFE_STAGE_S
