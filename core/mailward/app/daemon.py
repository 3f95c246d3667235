"""The supervisor: binds the ports, gives up root, and keeps the workers alive.

It answers: which processes are there, who started them, and what happens on SIGTERM, SIGHUP or a crash. What a role
does is `app.roles`; what it is made of is `app.build`. The supervisor itself has no event loop and touches no mail.
"""

import contextlib
import faulthandler
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from mailward.app.memory import before_forking
from mailward.metering import METERS
from mailward.model.errors import ConfigError
from mailward.model.metrics import Counter

HEARTBEAT_S = 1.0
"""How often a worker's event loop proves that it is alive."""
BLOCKED_AFTER_S = 5.0
"""A worker that has not done so for this long is killed; nothing acknowledged is lost by it."""
LOOK_S = 1.0
STOPPED_AFTER_S = 2.5
"""A supervisor that has not looked for this long did not run itself: it knows of no heartbeat, nor whether workers could run."""
STARTUP_S = 30.0
DRAIN_S = 30.0
"""After SIGTERM, workers get this long to finish what they have begun."""
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
ISOLATE_SIGNAL = signal.SIGUSR2
"""On it a worker gives the plugins that were moved processes of their own."""
_HEEDED_LATER = {signal.SIGHUP, ISOLATE_SIGNAL}
TRACE_SIGNAL = signal.SIGUSR1
"""On it a worker writes where each of its threads is, even when its loop is blocked."""
TRACE_S = 0.5
"""So long the supervisor waits for that."""
TRACE_OCTETS = 60_000
RESTART_DELAYS_S = (0.1, 0.5, 2.0, 5.0, 10.0)
ENDED = Counter("workers_ended", "Processes that ended without being told to, and were started again", ("role",))

log = structlog.get_logger("mailward.supervisor")


@dataclass(frozen=True, slots=True)
class Lifeline:
    """What a worker inherits from the supervisor.

    alive_fd: write one octet every `HEARTBEAT_S`. parent_fd: becomes readable (end of file) when the supervisor is gone.
    """

    alive_fd: int
    parent_fd: int


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """A worker: its role's name, which others may share, and the function that runs it to its end in a process of its own."""

    name: str
    main: Callable[[Lifeline], None]


@dataclass(slots=True)
class Worker:
    role: RoleSpec
    pid: int
    alive_fd: int
    trace_fd: int
    started_at: float
    last_beat_at: float
    heard: bool = False
    killed: bool = False


@dataclass(slots=True)
class _Restart:
    role: RoleSpec
    due_at: float


class Supervisor:
    """Runs one process for each of `roles` until SIGTERM or SIGINT. `run` returns the exit code."""

    def __init__(
        self, roles: Sequence[RoleSpec], *, check_reload: Callable[[], None], blocked: Callable[[str], str] = lambda _: ""
    ) -> None:
        """check_reload: raises ConfigError when the configuration on disk cannot be used; then workers keep the old one.

        blocked: told where a worker is that is about to be killed for a blocked loop ("" when it did not say), as `faulthandler`
        writes it; returns whose fault it is, for the log.
        """
        self._roles = roles
        self._check_reload = check_reload
        self._blocked = blocked
        self._workers: dict[int, Worker] = {}
        self._restarts: list[_Restart] = []
        self._crashes: dict[RoleSpec, int] = {}
        self._selector = selectors.DefaultSelector()
        self._parent_read, self._parent_write = os.pipe()
        self._stopping_since: float | None = None
        self._looked_at = 0.0

    def run(self) -> int:
        wakeup_read, wakeup_write = os.pipe()
        os.set_blocking(wakeup_read, False)
        os.set_blocking(wakeup_write, False)
        signal.set_wakeup_fd(wakeup_write)
        for handled in HANDLED:
            signal.signal(handled, lambda *_: None)
        self._selector.register(wakeup_read, selectors.EVENT_READ)
        before_forking()
        for role in self._roles:
            self._start(role)
        self._looked_at = time.monotonic()
        while self._workers or (self._restarts and self._stopping_since is None):
            for key, _ in self._selector.select(timeout=0.2 if self._restarts else LOOK_S):
                if key.fd == wakeup_read:
                    for number in os.read(wakeup_read, 64):
                        self._on_signal(number)
                else:
                    self._on_heartbeat(key.fd)
            self._reap()
            self._restart_due()
            self._kill_blocked()
        log.info("stopped")
        return 0

    def _start(self, role: RoleSpec) -> None:
        alive_read, alive_write = os.pipe()
        trace_read, trace_write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal that comes before the worker can heed it waits for it (`signals_heeded`), instead of ending it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEEDED_LATER)
        pid = os.fork()
        if pid == 0:
            os.close(trace_read)
            self._become_worker(role, alive_read, alive_write, trace_write)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEEDED_LATER)
        os.close(alive_write)
        os.close(trace_write)
        os.set_blocking(alive_read, False)
        os.set_blocking(trace_read, False)
        now = time.monotonic()
        self._workers[pid] = Worker(role, pid, alive_read, trace_read, now, now)
        self._selector.register(alive_read, selectors.EVENT_READ)
        log.info("worker started", role=role.name, pid=pid)

    def _become_worker(self, role: RoleSpec, alive_read: int, alive_write: int, trace_write: int) -> None:
        """In the child; never returns."""
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            for handled in HANDLED:
                signal.signal(handled, signal.SIG_DFL)
            self._selector.close()
            for worker in self._workers.values():
                os.close(worker.alive_fd)
                os.close(worker.trace_fd)
            os.close(alive_read)
            os.set_blocking(trace_write, False)
            faulthandler.register(TRACE_SIGNAL, file=trace_write, all_threads=True)
            os.close(self._parent_write)
            role.main(Lifeline(alive_write, self._parent_read))
            code = 0
        except ConfigError as error:
            log.error("worker cannot start", role=role.name, problem=str(error))
            code = 78
        except BaseException:  # the process ends here whatever it was; the supervisor starts another one
            log.exception("worker failed", role=role.name)
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _on_signal(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            if self._stopping_since is not None:
                self.signal_workers(signal.SIGKILL)
                return
            log.info("stopping")
            self._stopping_since = time.monotonic()
            self.signal_workers(signal.SIGTERM)
        elif number == signal.SIGHUP:
            try:
                self._check_reload()
            except ConfigError as error:
                log.error("reload refused, the old configuration stays", problem=str(error))
                return
            log.info("reloading")
            self.signal_workers(signal.SIGHUP)

    def signal_workers(self, number: signal.Signals) -> None:
        for pid in self._workers:
            os.kill(pid, number)

    def _on_heartbeat(self, fd: int) -> None:
        worker = next((w for w in self._workers.values() if w.alive_fd == fd), None)
        if os.read(fd, 4096):
            if worker is not None:
                worker.last_beat_at, worker.heard = time.monotonic(), True
        else:
            self._selector.unregister(fd)

    def _reap(self) -> None:
        while self._workers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = self._workers.pop(pid, None)
            if worker is None:
                continue
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.alive_fd)
            os.close(worker.alive_fd)
            os.close(worker.trace_fd)
            if self._stopping_since is not None:
                continue
            now = time.monotonic()
            role = worker.role
            self._crashes[role] = crashes = 0 if now - worker.started_at > 60 else self._crashes.get(role, 0) + 1
            delay_s = RESTART_DELAYS_S[min(crashes, len(RESTART_DELAYS_S)) - 1] if crashes else 0.0
            METERS.of("").count(ENDED, role=role.name)
            log.warning("worker ended", role=role.name, pid=pid, code=os.waitstatus_to_exitcode(status), restart_in_s=delay_s)
            self._restarts.append(_Restart(role, now + delay_s))

    def _restart_due(self) -> None:
        if self._stopping_since is not None:
            return
        now = time.monotonic()
        due, self._restarts = [r for r in self._restarts if r.due_at <= now], [r for r in self._restarts if r.due_at > now]
        for restart in due:
            self._start(restart.role)

    def _kill_blocked(self) -> None:
        now = time.monotonic()
        if now - self._looked_at > STOPPED_AFTER_S:
            log.warning("supervisor did not run", for_s=round(now - self._looked_at, 1))
            for worker in self._workers.values():
                worker.last_beat_at = now
        self._looked_at = now
        for worker in self._workers.values():
            limit_s = BLOCKED_AFTER_S if worker.heard else STARTUP_S
            blocked = now - worker.last_beat_at > limit_s
            overdue = self._stopping_since is not None and now - self._stopping_since > DRAIN_S
            if (blocked or overdue) and not worker.killed:
                by = self._blocked(_whereabouts(worker)) if blocked else ""
                log.error(
                    "worker killed",
                    role=worker.role.name,
                    pid=worker.pid,
                    reason="blocked" if blocked else "did not drain",
                    **({"by": by} if by else {}),
                )
                os.kill(worker.pid, signal.SIGKILL)
                worker.killed = True


def _whereabouts(worker: Worker) -> str:
    """Where the threads of a worker are, as `faulthandler` writes it; "" when it does not say."""
    os.kill(worker.pid, TRACE_SIGNAL)
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(worker.trace_fd, selectors.EVENT_READ)
        until = time.monotonic() + TRACE_S
        while len(said) < TRACE_OCTETS and selector.select(until - time.monotonic()):
            if not (more := os.read(worker.trace_fd, 4096)):
                break
            said += more
            until = min(until, time.monotonic() + TRACE_S / 5)
    return said.decode("utf-8", "replace")


def signals_heeded() -> None:
    """Called by a worker that has its handlers of SIGHUP and ISOLATE_SIGNAL in place: what came before is handled now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEEDED_LATER)


def bind(address: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises ConfigError that says what to change."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(512)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {address} port {port}: {error.strerror}. Another server may hold it; "
            "change listeners in mailward.yaml, or quickstart with another --port-offset"
        ) from error
    return listener
