"""What each worker process does: `smtp` takes mail and delivers it to mailboxes, `access` serves it, `queue` relays it to other
servers and finishes what others left, `auth` checks logins for the others.

One command starts them all; each has its own process, so that whoever takes octets from strangers never holds passwords.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import structlog
import uvloop

from mailward.app.build import AccessRole, AuthRole, QueueRole, SmtpRole
from mailward.app.config import Config, Listener, load_config
from mailward.app.daemon import HEARTBEAT_S, Lifeline, RoleSpec, Supervisor, bind, reload_signal_heeded
from mailward.app.filters import load_filters
from mailward.app.users import drop_privileges, service_user
from mailward.model.errors import ConfigError

log = structlog.get_logger("mailward.worker")

BoundListener = tuple[Listener, socket.socket]


def serve(config_file: Path) -> int:
    """Run the whole server in the foreground. Returns the exit code; raises ConfigError before anything is started."""
    config = load_config(config_file)
    user = service_user(config)
    bound = [(listener, bind(listener.address, listener.port)) for listener in config.listeners]
    if user is not None:
        drop_privileges(user)
    _check_folders(config)
    load_filters(config)
    roles = [
        RoleSpec("auth", lambda line: _run(line, config, lambda c: AuthRole(_without(bound, c)))),
        RoleSpec("smtp", lambda line: _run(line, config, lambda c: SmtpRole(c, _only(bound, "smtp", "submission")))),
        RoleSpec("access", lambda line: _run(line, config, lambda c: AccessRole(c, _only(bound, "imap", "pop3")))),
        RoleSpec("queue", lambda line: _run(line, config, lambda c: QueueRole(_without(bound, c)))),
    ]
    for listener, _ in bound:
        log.info("listening", listener=listener.name, protocol=listener.protocol, address=listener.address, port=listener.port)

    def check_reload() -> None:
        load_filters(load_config(config_file))

    return Supervisor(roles, check_reload=check_reload).run()


def _only(bound: list[BoundListener], *protocols: str) -> list[BoundListener]:
    """The listeners of these protocols; the sockets of the others are closed in this worker."""
    for listener, listening in bound:
        if listener.protocol not in protocols:
            listening.close()
    return [pair for pair in bound if pair[0].protocol in protocols]


def _without(bound: list[BoundListener], config: Config) -> Config:
    """The configuration, for a worker that listens to nobody outside: the sockets are closed in it."""
    for _, listening in bound:
        listening.close()
    return config


def _check_folders(config: Config) -> None:
    """Refuse what others could read or write (T-PRIV-04), and say so before any mail is taken."""
    if not config.data.is_dir():
        raise ConfigError(f"the data folder {config.data} does not exist; make it, or run mailward quickstart")
    if not os.access(config.data, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(f"the data folder {config.data} cannot be written by uid {os.geteuid()}; chown it to the service user")
    if config.data.stat().st_mode & 0o077:
        raise ConfigError(f"the data folder {config.data} is open to others; run: chmod 700 {config.data}")
    if config.tls.key.stat().st_mode & 0o077:
        raise ConfigError(f"the private key {config.tls.key} is open to others; run: chmod 600 {config.tls.key}")


Role = AuthRole | SmtpRole | AccessRole | QueueRole


def _run(lifeline: Lifeline, config: Config, make: Callable[[Config], Role]) -> None:
    uvloop.run(_main(lifeline, config, make))


async def _main(lifeline: Lifeline, config: Config, make: Callable[[Config], Role]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    os.set_blocking(lifeline.parent_fd, False)
    loop.add_reader(lifeline.parent_fd, _supervisor_gone, loop, lifeline.parent_fd, stop)
    beat = asyncio.create_task(_beat(lifeline.alive_fd))
    role = make(config)
    await role.start()
    loop.add_signal_handler(signal.SIGHUP, lambda: _reload(role, config.path))
    reload_signal_heeded()
    try:
        await stop.wait()
        await role.stop()
    finally:
        beat.cancel()


def _supervisor_gone(loop: asyncio.AbstractEventLoop, fd: int, stop: asyncio.Event) -> None:
    loop.remove_reader(fd)
    stop.set()


def _reload(role: Role, path: Path) -> None:
    try:
        role.reload(load_config(path))
    except ConfigError as error:
        log.error("reload refused, the old configuration stays", problem=str(error))
    else:
        log.info("reloaded")


async def _beat(fd: int) -> None:
    while True:
        os.write(fd, b".")
        await asyncio.sleep(HEARTBEAT_S)
