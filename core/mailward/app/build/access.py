"""The wiring of the process that serves mail over IMAP and POP3, and its rules over ManageSieve."""

import asyncio
import os
from collections.abc import Sequence

from mailward.access.imap.desk import Desk as ImapDesk
from mailward.access.imap.identifiers import Identifiers
from mailward.access.managesieve.session import Desk as ManageSieveDesk
from mailward.access.pop3.leases import Leases
from mailward.access.pop3.session import Desk as Pop3Desk
from mailward.app.accounts import store_of
from mailward.app.build.common import BoundListener, admissions_of, tls_contexts
from mailward.app.config import Config
from mailward.app.filters import Filters
from mailward.app.judging import PluginServices
from mailward.app.scripts import script_lists
from mailward.app.watching import Watchers
from mailward.delivery.imapsieve import ImapScripts
from mailward.delivery.imapsieve_mail import ImapSieveMail
from mailward.delivery.script_allowance import ScriptAllowance
from mailward.directory import Directory
from mailward.disk import Disk
from mailward.net.authd import RemoteAuthenticator
from mailward.net.imapd import ImapListener, ImapSettings
from mailward.net.managesieved import ManageSieveListener, ManageSieveSettings
from mailward.net.pop3d import Pop3Listener, Pop3Settings
from mailward.net.revoking import EVERY_S, Revoking
from mailward.net.sessions import session_server
from mailward.net.stream import StreamListener
from mailward.net.tls import renew_certificates
from mailward.pipeline.chain import Chain
from mailward.pipeline.enabling import chain_of
from mailward.pipeline.events import Events
from mailward.queue.spool import Spool
from mailward.rounds import Rounds
from mailward.services.clock import SystemClock
from mailward.services.hourly import Hourly
from mailward.services.known import KnownSources
from mailward.store.changes import Hints

ACCESS_PROTOCOLS = ("imap", "pop3", "managesieve")


class AccessRole:
    """Serves mail over IMAP and POP3, and its rules over ManageSieve."""

    def __init__(
        self, config: Config, filters: Filters, bound: Sequence[BoundListener], known: KnownSources, accounts: Hourly
    ) -> None:
        """known: from where people have logged in. accounts: what each has sent, by whichever process."""
        self._config = config
        self._known = known
        self._bound = bound
        self._services = PluginServices(config)
        self._chain = self._make_chain(filters)
        self._events = Events(lambda: self._chain)
        self._authenticator = RemoteAuthenticator(config.auth_socket)
        self._hints = Hints(config.data / "hints")
        self._watchers = Watchers()
        self._directory = Directory(config.directory_file)
        self._store = store_of(config, self._directory, self._hints)
        self._spool = Spool(config.data / "spool", Disk(), owner=f"access{os.getpid()}")
        allowance, clock, loop = ScriptAllowance(accounts), SystemClock(), asyncio.get_running_loop()
        mail = ImapSieveMail(self._spool, self._directory, allowance, clock, loop)
        self._scripts = ImapScripts(config.imapsieve, self._directory, mail, clock, script_lists(config))
        self._listeners: list[StreamListener] = []
        revoking = Revoking(self._authenticator, self._listeners)
        self._revoking = Rounds("asking which logins are revoked", revoking.look, every_s=EVERY_S, first_after_s=EVERY_S)
        self._answering = session_server(config.access_socket, self._listeners)
        self._contexts = tls_contexts([listener for listener, _ in bound], config)

    def _make_chain(self, filters: Filters) -> Chain:
        return chain_of(filters.policies["inbound"], filters.host, self._services.of)

    async def start(self) -> None:
        config = self._config
        self._hints.listen(self._watchers.changed)
        self._watchers.start()
        imap_desk = ImapDesk(
            store=self._store,
            authenticator=self._authenticator,
            watch=self._watchers.watch,
            moved=self._events.moved,
            classified=self._events.classified,
            hostname=config.hostname,
            append_octets=config.limits.message_octets,
            capabilities_off=self._directory.capabilities_off,
            identifiers=Identifiers(self._directory, anyone=config.share_with_anyone == "on"),
            scripts=self._scripts,
        )
        leases = Leases(config.data / "pop3", Disk())
        pop3_desk = Pop3Desk(
            self._store, self._authenticator, leases, config.hostname, marks_seen=config.pop3_retrieved == "seen"
        )
        managesieve_desk = ManageSieveDesk(self._store, self._authenticator)
        admissions = admissions_of(config, ACCESS_PROTOCOLS, self._known)
        for listener, sock in self._bound:
            context, admission = self._contexts.get(listener.name), admissions[listener.protocol]
            implicit = listener.tls == "implicit"
            started: StreamListener
            if listener.protocol == "imap":
                imap = ImapSettings(
                    listener=listener.name,
                    implicit_tls=implicit,
                    proxies=listener.proxy_from,
                    capabilities_off=listener.capabilities_off,
                )
                started = ImapListener(imap, imap_desk, context, admission)
            elif listener.protocol == "managesieve":
                sieve = ManageSieveSettings(listener=listener.name, implicit_tls=implicit, proxies=listener.proxy_from)
                started = ManageSieveListener(sieve, managesieve_desk, context, admission)
            else:
                pop3 = Pop3Settings(listener=listener.name, implicit_tls=implicit, proxies=listener.proxy_from)
                started = Pop3Listener(pop3, pop3_desk, context, admission)
            await started.serve(sock)
            self._listeners.append(started)
        self._revoking.start()
        await self._answering.start()

    def reload(self, config: Config, filters: Filters) -> None:
        """Moves under way are told by the old plugins. Raises ConfigError, and then nothing has changed."""
        chain = self._make_chain(filters)
        renew_certificates(self._contexts.values(), config.tls.certificate, config.tls.key)
        self._scripts.use(config.imapsieve)
        self._chain = chain

    def use(self, filters: Filters) -> None:
        """The same, of the filters alone."""
        self._chain = self._make_chain(filters)

    async def stop(self) -> None:
        await self._answering.close()
        await self._revoking.stop()
        for listener in self._listeners:
            await listener.close()
        await self._scripts.close()
        await self._spool.close()
        await self._events.stop()
        self._watchers.stop()
        await self._authenticator.close()
        self._services.close()
        self._store.close()
        self._directory.close()
        self._hints.close()
