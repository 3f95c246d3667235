"""What several roles are made of."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mailward.app.accounts import store_of
from mailward.app.config import Config, Listener
from mailward.app.scripts import script_lists
from mailward.decisions import DecisionStore
from mailward.delivery.dsn_listener import DsnListener
from mailward.delivery.manager import DeliveryManager
from mailward.delivery.mda import Mda
from mailward.delivery.ports import Folders
from mailward.delivery.redirecting import Redirecting
from mailward.delivery.reporting import SpooledReports
from mailward.delivery.script_allowance import ScriptAllowance
from mailward.delivery.script_mail import ScriptMail
from mailward.delivery.script_memory import ScriptMemory
from mailward.delivery.scripted import Scripted
from mailward.delivery.sorting import Sorter
from mailward.delivery.submitting import OwnMail
from mailward.directory import Directory
from mailward.directory.forwarding import Forwarding
from mailward.disk import Disk
from mailward.formats.srs import Srs
from mailward.model.errors import ConfigError
from mailward.net.admission import Admission, AdmissionLimits
from mailward.net.tls import server_context
from mailward.quarantine import Quarantine
from mailward.queue.agenda import Agenda
from mailward.queue.spool import Spool
from mailward.services.clock import SystemClock
from mailward.services.hourly import Hourly, HourlyLimits
from mailward.services.known import KnownSources
from mailward.services.kv import SqliteKeyValue
from mailward.services.shared import Seats
from mailward.services.srs_keys import srs_keys
from mailward.store.changes import Hints

BoundListener = tuple[Listener, socket.socket]


def tls_contexts(listeners: Iterable[Listener], config: Config) -> dict[str, ssl.SSLContext]:
    """The TLS contexts of those that have TLS, by name. One each: a ticket of one service is good on no other."""
    return {
        listener.name: server_context(config.tls.certificate, config.tls.key) for listener in listeners if listener.tls != "none"
    }


def admissions_of(
    config: Config, protocols: Sequence[str], known: KnownSources | None, seats: Seats | None = None
) -> dict[str, Admission]:
    """Connections are counted per protocol: strangers cannot take the users' places. known: None where nobody logs in."""
    limits = config.limits
    admission = AdmissionLimits(
        total=limits.connections,
        per_address=limits.connections_per_address,
        per_network=limits.connections_per_network,
        per_minute=limits.connections_per_minute,
        exempt=limits.exempt,
    )
    return {name: Admission(admission, seats, known, name) for name in protocols}


def secret_keys(config: Config) -> tuple[bytes, ...]:
    """Of this server alone, the one in use first. Raises ConfigError."""
    try:
        return srs_keys(config.secrets)
    except (OSError, ValueError) as error:
        raise ConfigError(f"forwarded mail cannot get a reverse-path: {error}") from error


def make_srs(config: Config) -> Srs:
    """Makes the reverse-paths of forwarded mail. Raises ConfigError."""
    return Srs(secret_keys(config), lambda: int(time.time() // 86400))


def hourly_of_accounts(config: Config) -> Hourly:
    """What accounts may send; made before the processes are forked that count it."""
    limits = config.limits
    return Hourly(HourlyLimits(limits.account_messages_per_hour, limits.account_recipients_per_hour))


@dataclass(frozen=True, slots=True)
class SendingScripts:
    """What the process has by which scripts send. accounts: what each has sent."""

    forwarding: Forwarding
    accounts: Hourly


class Delivering:
    """What both roles that deliver need: store, quarantine, decisions, spool, manager, reports.

    folders: who is asked for folders, on the running event loop; None for nobody. scripts: of the process that sends what scripts
    want sent, on that loop, too; None elsewhere.
    """

    def __init__(
        self,
        config: Config,
        owner: str,
        directory: Directory,
        folders: Callable[[], Folders] | None = None,
        scripts: SendingScripts | None = None,
    ) -> None:
        disk, clock = Disk(), SystemClock()
        self.hints = Hints(config.data / "hints")
        self.store = store_of(config, directory, self.hints)
        self.quarantine = Quarantine(config.data / "quarantine", disk)
        self.decisions = DecisionStore(config.decisions_file)
        self.spool = Spool(config.data / "spool", disk, owner=owner)
        self.mda = Mda(self.store, self.quarantine, clock)
        self.agenda = Agenda(self.spool, clock)
        self.reports = SpooledReports(
            self.spool,
            self.agenda,
            directory,
            self.mda,
            config.hostname,
            free_octets=lambda: disk.free_octets(config.data),
            least_free_octets=config.limits.free_disk_octets,
        )
        dsn_listener = DsnListener(self.mda, self.decisions, clock)
        sorter = None if folders is None else Sorter(self.store, directory, folders, asyncio.get_running_loop())
        self.mail = OwnMail(self.spool, self.agenda, directory, self.decisions, clock)
        # A hyphen is in no plugin's name, and what has expired is removed here as there.
        self._noted = None if scripts is None else SqliteKeyValue(config.plugin_values / "mail-filter.sqlite", clock)
        sender = None if scripts is None or self._noted is None else self._sender(directory, scripts, self._noted)
        self.manager = DeliveryManager(
            self.spool,
            dsn_listener,
            self.decisions,
            clock,
            reports=self.reports,
            has_account=directory.has_account,
            sorter=Scripted(sorter, self.store, directory, clock, sender, script_lists(config)),
            give_up_after_s=config.outbound.limits.give_up_after_s,
            waits_for_room=config.full_mailbox == "wait",
        )

    def _sender(self, directory: Directory, scripts: SendingScripts, noted: SqliteKeyValue) -> ScriptMail:
        clock = SystemClock()
        redirecting = Redirecting(self.mail, directory, scripts.forwarding, clock)
        memory, allowance = ScriptMemory(noted), ScriptAllowance(scripts.accounts)
        return ScriptMail(redirecting, self.mail, memory, allowance, directory, clock, asyncio.get_running_loop())

    async def stop(self) -> None:
        await self.manager.stop()
        await self.spool.close()
        self.store.close()
        self.quarantine.close()
        self.decisions.close()
        self.hints.close()
        if self._noted is not None:
            self._noted.close()
