"""What each worker process does: `smtp` takes mail and delivers it to mailboxes, `access` serves it, `queue` relays it to other
servers and finishes what others left, `auth` checks logins for the others.

One command starts them all; each has its own process, so that whoever takes octets from strangers never holds passwords. `smtp`
may have several, which accept from the same sockets and count together.
"""

import asyncio
import os
import resource
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import structlog
import uvloop

from mailward.app.blocking import blocker
from mailward.app.build.access import ACCESS_PROTOCOLS, AccessRole
from mailward.app.build.auth import AuthRole
from mailward.app.build.common import BoundListener, hourly_of_accounts
from mailward.app.build.queue import QueueRole
from mailward.app.build.smtp import SmtpRole, SmtpShared
from mailward.app.config import SMTP_PROTOCOLS, Config
from mailward.app.config_file import load_config
from mailward.app.daemon import HEARTBEAT_S, ISOLATE_SIGNAL, Lifeline, RoleSpec, Supervisor, signals_heeded
from mailward.app.filters import Filters, load_filters
from mailward.app.memory import give_back_what_is_free
from mailward.app.readiness import check_ready, idle_routes, ready_config, reloaded, settings_waiting, warnings_of
from mailward.app.serving import serving_lock
from mailward.app.sockets import listen
from mailward.app.users import drop_privileges, service_user
from mailward.decisions.versions import PolicyVersions
from mailward.metering import METERS
from mailward.model.errors import ConfigError, StorageError
from mailward.services.clock import SystemClock
from mailward.services.known import KnownSources
from mailward.services.shared import SharedNames

log = structlog.get_logger("mailward.worker")

WorkerRole = AuthRole | SmtpRole | AccessRole | QueueRole
BLAMES = 2
BLAMED_FOR_S = 3600.0
"""A plugin that has blocked so many workers within this time gets a process of its own, until the server is started again."""
_PROTOCOLS_OF_A_WORKER = 3
_OTHER_FILES = 250
"""Spool, store, databases, sockets between the processes."""

Make = Callable[[Config, Filters, Sequence[BoundListener]], WorkerRole]


def serve(config_file: Path) -> int:
    """Run the whole server in the foreground. Returns the exit code; raises ConfigError before anything is started."""
    config = load_config(config_file)
    _allow_open_files(config)
    user = service_user(config)
    bound = [(listener, listen(listener, user)) for listener in config.listeners]
    if user is not None:
        drop_privileges(user)
    filters = check_ready(config)
    _log_warnings(config, filters)
    for domain in idle_routes(config):
        log.warning("a route does nothing: the domain is served here", domain=domain)
    with serving_lock(config):
        _note_versions(config, filters)
        return _supervisor(config, filters, bound).run()


def _note_versions(config: Config, filters: Filters) -> None:
    """For `policy history`. Closed at once: what a worker inherits must not be open."""
    try:
        with closing(PolicyVersions(config.versions_file)) as versions:
            versions.note(filters.policies, SystemClock().now())
    except StorageError as error:
        log.error("policy history not kept", problem=str(error))


def _log_warnings(config: Config, filters: Filters) -> None:
    for policy in filters.policies.values():
        for text in warnings_of(config, policy):
            log.warning("policy warning", warning=text)


def _supervisor(config: Config, filters: Filters, bound: Sequence[BoundListener]) -> Supervisor:
    """filters: made before all workers, which so share their memory."""
    running = config  # a worker that is started again starts with what the last reload brought
    blamed: defaultdict[str, list[float]] = defaultdict(list)  # plugin -> when
    isolated = SharedNames()

    def check_reload() -> None:
        nonlocal running, filters
        wanted = ready_config(config.path)
        waiting = settings_waiting(config, wanted)
        if waiting:
            log.warning("changed settings wait for a restart", settings=", ".join(waiting))
        now = replace(reloaded(config, wanted), isolated_plugins=isolated.get())
        filters, running = load_filters(now), now
        _log_warnings(now, filters)
        _note_versions(running, filters)

    def blocked(whereabouts: str) -> str:
        nonlocal running, filters
        name = blocker(filters.host, whereabouts)
        if name is None:
            return ""
        now = time.monotonic()
        blamed[name] = [*(at for at in blamed[name] if at > now - BLAMED_FOR_S), now]
        if len(blamed[name]) >= BLAMES:
            # What is loaded, for what is on disk may be half written or wrong.
            isolated.add(name)
            running, filters = replace(running, isolated_plugins=isolated.get()), filters.isolating(isolated.get())
            supervisor.signal_workers(ISOLATE_SIGNAL)
            log.error("plugin moved to a process of its own", plugin=name, mend="write isolation: process in its policy")
        return f"plugin {name}"

    def worker(name: str, make: Make, *protocols: str, seat: int = 0) -> RoleSpec:
        """protocols: of the listeners that are its own. seat: which it is of several of its name."""

        def main(lifeline: Lifeline) -> None:
            METERS.sit(f"{name}{seat}")
            _run(name, lifeline, running, isolated, filters, bound, protocols, make)

        METERS.share([f"{name}{seat}"])
        return RoleSpec(name, main)

    known = KnownSources()
    accounts = hourly_of_accounts(config)
    shared = SmtpShared(config, known, accounts)

    def smtp(seat: int) -> RoleSpec:
        return worker(
            "smtp", lambda config, filters, own: SmtpRole(config, filters, own, shared, seat), *SMTP_PROTOCOLS, seat=seat
        )

    roles = [
        worker("auth", lambda config, filters, _: AuthRole(config, filters, known)),
        *(smtp(seat) for seat in range(config.smtp_processes)),
        worker("access", lambda config, filters, own: AccessRole(config, filters, own, known, accounts), *ACCESS_PROTOCOLS),
        worker("queue", lambda config, filters, _: QueueRole(config, filters, accounts)),
    ]
    for listener, _ in bound:
        log.info("listening", listener=listener.name, protocol=listener.protocol, at=str(listener))
    supervisor = Supervisor(roles, check_reload=check_reload, blocked=blocked)
    return supervisor


def _close_others(bound: Sequence[BoundListener], protocols: Collection[str]) -> None:
    """Close in this worker the sockets that are not its own."""
    for listener, listening in bound:
        if listener.protocol not in protocols:
            listening.close()


def _allow_open_files(config: Config) -> None:
    """As many as we may: each client is one, and so are spool, store and databases."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = _PROTOCOLS_OF_A_WORKER * config.limits.connections + _OTHER_FILES
    if hard < wanted:  # all clients may meet in one process
        log.warning(
            "clients may find no place", open_files=hard, wanted=wanted, mend="raise ulimit -Hn, or lower limits.connections"
        )


def _run(
    name: str,
    lifeline: Lifeline,
    config: Config,
    isolated: SharedNames,
    filters: Filters,
    bound: Sequence[BoundListener],
    protocols: Collection[str],
    make: Make,
) -> None:
    give_back_what_is_free()
    _close_others(bound, protocols)
    own = [pair for pair in bound if pair[0].protocol in protocols]
    uvloop.run(_main(name, lifeline, config.path, isolated, filters, lambda: make(config, filters, own)))


async def _main(
    name: str, lifeline: Lifeline, path: Path, isolated: SharedNames, filters: Filters, make: Callable[[], WorkerRole]
) -> None:
    """filters: those that the role is made with."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    os.set_blocking(lifeline.parent_fd, False)
    loop.add_reader(lifeline.parent_fd, _supervisor_gone, loop, lifeline.parent_fd, stop)
    beat = asyncio.create_task(_beat(lifeline.alive_fd))
    role = make()
    await role.start()

    def reload() -> None:
        nonlocal filters
        filters = _reload(role, path, isolated) or filters

    def isolate() -> None:
        nonlocal filters
        filters = filters.isolating(isolated.get())
        role.use(filters)
        log.info("filters moved", plugins=", ".join(sorted(isolated.get())))

    loop.add_signal_handler(signal.SIGHUP, reload)
    loop.add_signal_handler(ISOLATE_SIGNAL, isolate)
    signals_heeded()
    log.info("worker ready", role=name)
    try:
        await stop.wait()
        await role.stop()
    finally:
        beat.cancel()


def _supervisor_gone(loop: asyncio.AbstractEventLoop, fd: int, stop: asyncio.Event) -> None:
    loop.remove_reader(fd)
    stop.set()


def _reload(role: WorkerRole, path: Path, isolated: SharedNames) -> Filters | None:
    """The new filters; None when the old ones stay."""
    try:
        config = replace(load_config(path), isolated_plugins=isolated.get())
        filters = load_filters(config)
        role.reload(config, filters)
    except ConfigError as error:
        log.error("reload refused, the old configuration stays", problem=str(error))
        return None
    log.info("reloaded")
    return filters


async def _beat(fd: int) -> None:
    while True:
        os.write(fd, b".")
        await asyncio.sleep(HEARTBEAT_S)
