"""The wiring of the process that relays mail and finishes what others left."""

import os
from collections.abc import Iterator, Sequence

from mailward.app.build.common import Delivering, SendingScripts, make_srs
from mailward.app.config import Config
from mailward.app.filters import Filters
from mailward.app.judging import PluginServices
from mailward.app.memory import collect_seldom
from mailward.app.quarantine import digest_writer
from mailward.app.relaying import make_relay
from mailward.decisions.retention import Retention
from mailward.delivery.control import QueueControl
from mailward.delivery.digesting import Digesting
from mailward.delivery.expiring import Expiry
from mailward.delivery.outbound import OutboundManager
from mailward.delivery.passes import ADOPT_EVERY_S, Passes
from mailward.delivery.release import Release
from mailward.delivery.standing import StandingOrders
from mailward.delivery.submitting import OwnMail
from mailward.directory import Directory
from mailward.directory.forwarding import Forwarding
from mailward.disk import Disk
from mailward.metering import METERS
from mailward.model.metrics import Family, Gauge
from mailward.net.queued import QueueServer
from mailward.pipeline.days import Days, chains_to_tell
from mailward.pipeline.enabling import chain_of
from mailward.pipeline.events import Events
from mailward.pipeline.folders import Folders
from mailward.pipeline.relays import Relays
from mailward.rounds import Rounds
from mailward.services.clock import SystemClock
from mailward.services.forgetting import Forgetting
from mailward.services.hourly import Hourly
from mailward.services.kv import SqliteKeyValue
from mailward.store.marking import Marking

MARKING_EVERY_S = 10.0
CHORES_EVERY_S = 600.0
FIRST_CHORE_AFTER_S = 5.0
"""After the start, when what a dead process left in the spool has been taken over."""
WAITING = Gauge("queue_messages", "Messages that wait in the queue for another attempt, or to be sent to another server")


class QueueRole:
    """Relays what is for others, finishes what a dead or failed worker left in the spool, and answers `mailward queue`.

    accounts: what each has sent, by whichever process.
    """

    def __init__(self, config: Config, filters: Filters, accounts: Hourly) -> None:
        self._config = config
        self._directory = Directory(config.directory_file)
        forwarding = Forwarding(self._directory, make_srs(config), config.discarded_domains)
        self._delivering = delivering = Delivering(
            config, f"queue{os.getpid()}", self._directory, lambda: self._folders, SendingScripts(forwarding, accounts)
        )
        spool, decisions, clock = delivering.spool, delivering.decisions, SystemClock()
        mail = delivering.mail
        self._services = PluginServices(config, submit_of=mail.of_plugin)
        self.use(filters)
        self._events = Events(lambda: self._relays.chain)
        self._days_told = SqliteKeyValue(config.data / "days.sqlite")
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
        passes = Passes(delivering.agenda, (delivering.manager, self._outbound))
        self._passes = Rounds("pass over the spool", passes.run_once, every_s=ADOPT_EVERY_S, first_after_s=0)
        control = QueueControl(
            spool, delivering.agenda, decisions, delivering.mda, standing, clock, config.outbound.limits.give_up_after_s
        )
        told = Days(lambda: self._told, self._days_told, clock)
        release = Release(delivering.quarantine, delivering.store, spool, self._directory, decisions, clock)
        kept = Expiry(delivering.quarantine, release, clock, config.quarantine.kept_s)
        expired, old = Forgetting(config.plugin_values, clock), Retention(decisions, clock, config.decisions_kept_s)
        marking = Marking(delivering.store, lambda account: (config.data / "accounts" / account).exists())
        self._marking = marking
        self._chores = (
            Rounds("reading new mail for searches", marking.run_once, every_s=MARKING_EVERY_S, first_after_s=MARKING_EVERY_S),
            Rounds(
                "telling plugins that a day has ended", told.tell_due, every_s=CHORES_EVERY_S, first_after_s=FIRST_CHORE_AFTER_S
            ),
            Rounds("removing what has expired", expired.forget, every_s=CHORES_EVERY_S, first_after_s=CHORES_EVERY_S),
            Rounds("removing old records", old.forget_due, every_s=CHORES_EVERY_S, first_after_s=CHORES_EVERY_S),
            Rounds("dropping old mail from quarantine", kept.drop_due, every_s=CHORES_EVERY_S, first_after_s=CHORES_EVERY_S),
            *self._digests(config, mail),
        )
        self._calls = QueueServer(config.queue_socket, control, self._metrics)

    def _digests(self, config: Config, mail: OwnMail) -> Iterator[Rounds]:
        hour = config.quarantine.digest_hour
        if hour is not None:
            submit, clock = mail.of_server("quarantine digest"), SystemClock()
            writer = digest_writer(config)
            digests = Digesting(self._delivering.quarantine, self._directory, writer, submit, clock, hour)
            yield Rounds("quarantine digests", digests.send_due, every_s=CHORES_EVERY_S, first_after_s=FIRST_CHORE_AFTER_S)

    def _metrics(self) -> Sequence[Family]:
        METERS.of("").set(WAITING, len(self._delivering.spool.ids()))
        return METERS.read()

    async def start(self) -> None:
        collect_seldom()
        self._passes.start()
        await self._calls.start()
        self._delivering.hints.listen(self._marking.changed)
        for chore in self._chores:
            chore.start()

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
        for chore in self._chores:
            await chore.stop()
        await self._calls.close()
        await self._passes.stop()
        await self._outbound.stop()
        await self._events.stop()
        await self._delivering.stop()
        self._services.close()
        self._days_told.close()
        self._directory.close()
