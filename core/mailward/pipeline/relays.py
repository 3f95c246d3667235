"""What do the plugins say to a message on its way out? The hooks around one outbound attempt, under the outbound policy.

A failure raises HooksUnavailable: the caller keeps the mail queued, since sending it less protected or unsigned cannot be undone,
or returns it where the failure is permanent.
"""

import asyncio
import time

from mailward.api.relaying import MailHost, Relaying
from mailward.formats.edits import render
from mailward.formats.message import MessageView
from mailward.model.errors import HooksUnavailable
from mailward.model.tls import TlsRequirement
from mailward.pipeline.answers import read_requirements
from mailward.pipeline.enabling import ServicesOf, chain_of
from mailward.pipeline.plugins import PluginHost
from mailward.pipeline.stages import RELAY_STAGE_S
from mailward.policy import Policy


class Relays:
    """Immutable: a reload makes a new one. policy: of the direction outbound. chain: its plugins.

    Raises PluginError when the enabled plugins cannot work together.
    """

    def __init__(self, policy: Policy, host: PluginHost, services_of: ServicesOf) -> None:
        self.chain = chain_of(policy, host, services_of)

    async def tls_requirements(self, relaying: Relaying, host: MailHost) -> tuple[TlsRequirement, ...]:
        """What any plugin asks for. Raises HooksUnavailable."""
        arguments = {"relaying": relaying, "host": host}
        calls = await self.chain.collect("collect_tls_requirement", arguments, read_requirements, _deadline())
        return tuple(requirement for called in calls for requirement in called.value or ())

    async def edits(self, relaying: Relaying, octets: bytes) -> bytes:
        """The message as it leaves. octets: with all other edits made. Raises HooksUnavailable."""

        def message() -> MessageView:
            return MessageView(octets)  # as the last plugin left it

        async for called in self.chain.edit("edit_relay", message, lambda: {"relaying": relaying}, _deadline()):
            edits = self.chain.heed(called)
            if not edits:
                continue
            try:
                octets = await asyncio.to_thread(render, octets, edits)
            except ValueError as error:
                raise HooksUnavailable(called.call.plugin, "edit_relay", f"its edit cannot be written: {error}") from error
        return octets


def _deadline() -> float:
    return time.monotonic() + RELAY_STAGE_S
