"""The wiring of the process that relays mail and finishes what others left."""

import os
from collections.abc import Sequence

from mailward.app.build.common import Delivering
from mailward.app.config import Config
from mailward.app.filters import Filters
from mailward.app.judging import PluginServices
from mailward.app.memory import collect_seldom
from mailward.app.relaying import make_relay
from mailward.decisions.retention import Retention
from mailward.delivery.control import QueueControl
from mailward.delivery.outbound import OutboundManager
from mailward.delivery.passes import Passes
from mailward.delivery.standing import StandingOrders
from mailward.delivery.submitting import PluginMail
from mailward.directory import Directory
from mailward.disk import Disk
from mailward.metering import METERS
from mailward.model.metrics import Family, Gauge
from mailward.net.queued import QueueServer
from mailward.pipeline.days import Days, chains_to_tell
from mailward.pipeline.enabling import chain_of
from mailward.pipeline.events import Events
from mailward.pipeline.folders import Folders
from mailward.pipeline.relays import Relays
from mailward.services.clock import SystemClock
from mailward.services.forgetting import Forgetting
from mailward.services.kv import SqliteKeyValue

WAITING = Gauge("queue_messages", "Messages that wait in the queue for another attempt, or to be sent to another server")


class QueueRole:
    """Relays what is for others, finishes what a dead or failed worker left in the spool, and answers `mailward queue`."""

    def __init__(self, config: Config, filters: Filters) -> None:
        self._config = config
        self._directory = Directory(config.directory_file)
        self._delivering = delivering = Delivering(config, f"queue{os.getpid()}", self._directory, lambda: self._folders)
        spool, decisions, clock = delivering.spool, delivering.decisions, SystemClock()
        mail = PluginMail(spool, delivering.agenda, self._directory, decisions, clock)
        self._services = PluginServices(config, submit_of=mail.of)
        self.use(filters)
        self._events = Events(lambda: self._relays.chain)
        self._days_told = SqliteKeyValue(config.data / "days.sqlite")
        self._days = Days(lambda: self._told, self._days_told, clock)
        self._forgetting = Forgetting(config.plugin_values, clock)
        standing = StandingOrders(config.standing_orders, Disk(), clock)
        self._outbound = OutboundManager(
            spool,
            make_relay(config),
            lambda: self._relays,
            delivering.reports,
            decisions,
            standing,
            clock,
            limits=config.outbound.limits,
            attempted=self._events.attempted,
        )
        self._passes = Passes(delivering.agenda, (delivering.manager, self._outbound))
        control = QueueControl(
            spool, delivering.agenda, decisions, delivering.mda, standing, clock, config.outbound.limits.give_up_after_s
        )
        self._retention = Retention(decisions, clock, config.decisions_kept_s)
        self._calls = QueueServer(config.queue_socket, control, self._metrics)

    def _metrics(self) -> Sequence[Family]:
        METERS.of("").set(WAITING, len(self._delivering.spool.ids()))
        return METERS.read()

    async def start(self) -> None:
        collect_seldom()
        self._passes.start()
        await self._calls.start()
        self._days.start()
        self._retention.start()
        self._forgetting.start()

    def reload(self, config: Config, filters: Filters) -> None:
        """Attempts under way keep the old rules. config: nothing of it is read again."""
        self.use(filters)

    def use(self, filters: Filters) -> None:
        """The same, of the filters alone."""
        policies, host, services_of = filters.policies, filters.host, self._services.of
        relays = Relays(policies["outbound"], host, services_of)
        inbound = chain_of(policies["inbound"], host, services_of)
        self._told = chains_to_tell({"outbound": relays.chain, "inbound": inbound}, policies, host, services_of)
        self._relays, self._folders = relays, Folders(inbound)

    async def stop(self) -> None:
        await self._retention.stop()
        await self._forgetting.stop()
        await self._days.stop()
        await self._calls.close()
        await self._passes.stop()
        await self._outbound.stop()
        await self._events.stop()
        await self._delivering.stop()
        self._services.close()
        self._days_told.close()
        self._directory.close()
