"""What a plugin may ask the server for. A hook that names the argument `services` gets one `Services` value."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar, cast

from mailward.api.logins import LoginAttempt, Secret
from mailward.model.dns import DnsAnswer, RecordType
from mailward.model.identity import Identity
from mailward.model.metrics import Counter, Gauge, Histogram

T = TypeVar("T")


class DnsTemporaryError(Exception):
    """The name servers gave no usable answer (timeout, SERVFAIL, refused); trying later may help."""


class Resolver(Protocol):
    """DNS, cached, with an overall limit on every question."""

    async def resolve(self, name: str, record_type: RecordType) -> DnsAnswer:
        """The answer for `name`. Raises DnsTemporaryError; a name that cannot exist counts as nxdomain."""
        ...


class HttpFailed(Exception):
    """There is no answer that may be used. is_certificate: because the server does not prove its name."""

    def __init__(self, text: str, *, is_certificate: bool = False) -> None:
        super().__init__(text)
        self.is_certificate = is_certificate


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """content_type: "text/plain" without parameters, in lower case, "" when it is not said."""

    status: int
    content_type: str
    octets: bytes


class Http(Protocol):
    """The web, for what strangers name: https alone, public addresses alone, no redirects, no proxies, no compression."""

    async def get(self, url: str, *, limit_octets: int, limit_s: float) -> HttpAnswer:
        """The answer, whatever its status; limits for all of it. Raises HttpFailed."""
        ...


class Clock(Protocol):
    """Wall-clock time, so that tests can choose it."""

    def now(self) -> datetime:
        """The current moment, aware, in UTC."""
        ...


class KeyValue(Protocol):
    """Small durable values of one plugin, shared by all processes of the server. Keys at most 256 octets, values 64 KiB.

    What is written with `expires_after_s` is never seen again when so many seconds have gone by since, be the server down
    meanwhile. Written once more, it lives so long once more; without it, until it is removed. Of the values of a plugin that
    expire a million are kept, or 256 MiB of them, and as many of its counters: of more, what would expire first goes first.
    """

    async def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The values of those keys that exist."""
        ...

    async def put_many(self, values: Mapping[bytes, bytes], *, expires_after_s: float | None = None) -> None:
        """Set all of them in one transaction. Raises ValueError for no time that is still to come."""
        ...

    async def add_many(self, amounts: Mapping[bytes, tuple[int, ...]], *, expires_after_s: float | None = None) -> None:
        """Add to counters kept as a row of signed 64-bit integers, all in one transaction, never below zero.

        A key that does not exist counts as zeros. Each addition says anew when the counter expires; who counts by the hour puts
        the hour into the key. Read them back through `counters`.
        """
        ...

    async def counters(self, keys: Sequence[bytes]) -> Mapping[bytes, tuple[int, ...]]:
        """The counters of those keys that exist."""
        ...

    async def find(self, prefix: bytes, *, after: bytes = b"", limit: int = 1000) -> Mapping[bytes, bytes]:
        """The first values whose keys begin with `prefix` and stand behind `after`, in the order of their keys."""
        ...

    async def remove(self, first: bytes, end: bytes) -> None:
        """Forget all values and counters whose keys are `first` or behind it, and before `end`."""
        ...

    async def change(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        """Set a value if it is still what the caller believes (None: it does not exist); durable when it returns True.

        value None deletes it; any other stays until it is removed. Atomic over all processes, so of several callers only one
        succeeds.
        """
        ...


class Log(Protocol):
    """The server's structured log. Never content, never credentials."""

    def info(self, event: str, **values: str | int | float | bool | None) -> None:
        """What is in order. event: plain words, the same ones each time; what differs goes into the values."""
        ...

    def warning(self, event: str, **values: str | int | float | bool | None) -> None:
        """What an admin should look at."""
        ...


class Metrics(Protocol):
    """Numbers of one plugin from all processes together, as `mailward metrics` prints them: `mailward_<plugin>__<name>`.

    Of more than 200 series of a plugin, all further ones count together, under the label value "other".
    """

    def count(self, counter: Counter, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter. Raises ValueError for an amount below 0 and for labels that it does not have."""
        ...

    def set(self, gauge: Gauge, value: float, /, **labels: str) -> None:
        """Say what a gauge is now. Raises ValueError for no number and for labels that it does not have."""
        ...

    def observe(self, histogram: Histogram, value: float, /, **labels: str) -> None:
        """Note one value of a histogram. Raises ValueError for no number and for labels that it does not have."""
        ...


class RunBlocking(Protocol):
    """Runs a blocking or heavy function in a bounded thread pool."""

    async def __call__(self, function: Callable[[], T]) -> T:
        """What the function returns, or raises."""
        ...


class Credentials(Protocol):
    """The passwords and app passwords that are kept here; only the process that checks logins has them."""

    async def check(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        """Whose secret it is, None when nobody's. Costs the same whether or not the name exists."""
        ...


class Submit(Protocol):
    """Sends mail in the server's own name; only the process that has the queue can."""

    async def __call__(
        self, forward_path: str, octets: bytes, *, key: str, not_before: datetime | None = None, tls_optional: bool = False
    ) -> bool:
        """Put a message into the queue, durable when it returns. False when there was one of this key before.

        octets: header and body with CRLF line ends; signed on its way where its author's domain has a key. key: of all calls with
        the same one a single message comes, whatever crashes in between. not_before: aware. tls_optional: it goes in clear where
        TLS cannot be had, whatever the policies ask for. It comes from the null reverse-path, and nobody hears when it is lost.
        Raises ValueError for what is no address, or none of ours in a domain of ours; StorageError; LocalError in any other
        process.
        """
        ...


class Secrets(Protocol):
    """Private keys and other secret files of one plugin: below `secrets/<plugin>/` beside mailward.yaml."""

    def names(self, folder: str = "") -> tuple[str, ...]:
        """The files below a folder, all of them by default, as relative paths for `read`, sorted; () when there are none.

        Raises FileNotFoundError for a folder outside, PermissionError for one that cannot be looked into.
        """
        ...

    def read(self, name: str) -> bytes:
        """The octets of one file. Raises FileNotFoundError, and PermissionError when others could read or change it."""
        ...


class Memory:
    """What a plugin keeps in memory between two calls of its hooks. Safe from any thread.

    A reload of the policy forgets nothing that a package keeps. The file of a drop-in is run again, which makes other classes:
    what it kept is forgotten.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], object] = {}
        self._changing = threading.RLock()  # a kind may ask for another one while it is made

    def of(self, kind: type[T]) -> T:
        """The one thing of this kind in this process, made when it is first asked for: `services.memory.of(Book)`."""
        name = (kind.__module__, kind.__qualname__)
        with self._changing:
            if type(self._kept.get(name)) is not kind:
                self._kept[name] = kind()
            return cast(T, self._kept[name])


@dataclass(frozen=True, slots=True)
class Services:
    """What one plugin may use; `kv`, `log`, `secrets`, `metrics` and `memory` are its own."""

    resolver: Resolver
    clock: Clock
    kv: KeyValue
    log: Log
    run_blocking: RunBlocking
    secrets: Secrets
    credentials: Credentials
    submit: Submit
    http: Http
    metrics: Metrics
    memory: Memory = field(default_factory=Memory)
