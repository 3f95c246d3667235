"""The services of `mailward.api` without a world around them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from mailward.api import (
    Counter,
    DnsAnswer,
    DnsTemporaryError,
    Gauge,
    Histogram,
    HttpAnswer,
    HttpFailed,
    Identity,
    LoginAttempt,
    RecordType,
    Secret,
)
from mailward.model.ids import AccountId
from mailward.model.metrics import label_values

T = TypeVar("T")

Records = Sequence[str] | type[DnsTemporaryError]
"""What a name holds for a type: records in the form of `DnsAnswer`, or the class DnsTemporaryError for servers that fail."""


class FakeZone:
    """DNS that knows what the test says; everything else is NXDOMAIN. asked: the questions so far.

    authenticated: names whose answers count as validated by DNSSEC.

    records: {("example.net", "TXT"): ["v=spf1 -all"], ("slow.example", "A"): DnsTemporaryError}.
    """

    def __init__(self, records: Mapping[tuple[str, RecordType], Records] | None = None) -> None:
        self._records: dict[tuple[str, RecordType], Records] = {}
        self.asked: list[tuple[str, RecordType]] = []
        self.authenticated: set[str] = set()
        for (name, record_type), found in (records or {}).items():
            self._records[_plain(name), record_type] = found

    def add(self, name: str, record_type: RecordType, *records: str) -> None:
        """Give a name these records; none at all makes it exist without any of this type."""
        self._records[_plain(name), record_type] = records

    def fail(self, name: str, record_type: RecordType) -> None:
        """Let this question raise DnsTemporaryError."""
        self._records[_plain(name), record_type] = DnsTemporaryError

    async def resolve(self, name: str, record_type: RecordType) -> DnsAnswer:
        """As `mailward.api.Resolver`; a CNAME is followed."""
        asked = _plain(name)
        self.asked.append((asked, record_type))
        for _ in range(8):
            found = self._records.get((asked, record_type))
            if isinstance(found, type):
                raise DnsTemporaryError(f"no usable answer for {asked} {record_type}")
            if found:
                alias_to = "" if asked == _plain(name) else asked
                return DnsAnswer("found", tuple(found), _plain(name) in self.authenticated, alias_to)
            alias = self._records.get((asked, "CNAME"))
            if record_type == "CNAME" or not alias or isinstance(alias, type):
                break
            asked = _plain(alias[0])
        exists = any(known == asked or known.endswith("." + asked) for known, _ in self._records)
        return DnsAnswer("nodata" if exists else "nxdomain")


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


class FakeClock:
    """Time stands still until the test moves it."""

    def __init__(self, at: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def set(self, at: datetime) -> None:
        """at: aware."""
        self._at = at.astimezone(UTC)

    def advance(self, by: timedelta) -> None:
        self._at += by


class MemorySecrets:
    """`mailward.api.Secrets` in memory. files: name -> octets."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self.files = dict(files or {})

    def names(self, folder: str = "") -> tuple[str, ...]:
        return tuple(sorted(name for name in self.files if not folder or name.startswith(f"{folder}/")))

    def read(self, name: str) -> bytes:
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name]


class FakeCredentials:
    """`mailward.api.Credentials` with passwords in clear. passwords: login name -> password; the account is the name."""

    def __init__(self, passwords: Mapping[str, str] | None = None) -> None:
        self.passwords = dict(passwords or {})

    async def check(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        known = self.passwords.get(attempt.name)
        return Identity(AccountId(attempt.name), attempt.name) if known is not None and known == secret.password else None


@dataclass
class SentMail:
    """`mailward.api.Submit` that remembers. sent: key -> (forward-path, octets, not_before, tls_optional)."""

    sent: dict[str, tuple[str, bytes, datetime | None, bool]] = field(default_factory=dict)

    async def __call__(
        self, forward_path: str, octets: bytes, *, key: str, not_before: datetime | None = None, tls_optional: bool = False
    ) -> bool:
        is_new = key not in self.sent
        self.sent.setdefault(key, (forward_path, octets, not_before, tls_optional))
        return is_new


@dataclass
class MemoryLog:
    """`mailward.api.Log` that remembers. events: (level, event, values)."""

    events: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def info(self, event: str, **values: str | int | float | bool | None) -> None:
        self.events.append(("info", event, dict(values)))

    def warning(self, event: str, **values: str | int | float | bool | None) -> None:
        self.events.append(("warning", event, dict(values)))


class MemoryMetrics:
    """`mailward.api.Metrics` that remembers, and refuses what the server would. By name of the metric and values of its labels.

    numbers: {("scans", "clean"): 2.0}; of a gauge what it was set to last. observed: {("scan_seconds",): [0.2, 0.7]}.
    """

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, ...], float] = {}
        self.observed: dict[tuple[str, ...], list[float]] = {}

    def count(self, counter: Counter, amount: float = 1, /, **labels: str) -> None:
        if not 0 <= amount < math.inf:
            raise ValueError(f"metric {counter.name!r}: {amount} cannot be added to a counter")
        key = (counter.name, *label_values(counter, labels))
        self.numbers[key] = self.numbers.get(key, 0.0) + amount

    def set(self, gauge: Gauge, value: float, /, **labels: str) -> None:
        if not math.isfinite(value):
            raise ValueError(f"metric {gauge.name!r}: {value} is no value")
        self.numbers[(gauge.name, *label_values(gauge, labels))] = value

    def observe(self, histogram: Histogram, value: float, /, **labels: str) -> None:
        if not math.isfinite(value):
            raise ValueError(f"metric {histogram.name!r}: {value} is no value")
        self.observed.setdefault((histogram.name, *label_values(histogram, labels)), []).append(value)


class FakeHttp:
    """`mailward.api.Http` that knows what the test says; all else cannot be reached. pages: URL -> answer, or why there is none.

    asked: the URLs so far.
    """

    def __init__(self, pages: Mapping[str, HttpAnswer | HttpFailed] | None = None) -> None:
        self.pages = dict(pages or {})
        self.asked: list[str] = []

    async def get(self, url: str, *, limit_octets: int, limit_s: float) -> HttpAnswer:
        self.asked.append(url)
        found = self.pages.get(url, HttpFailed("nothing is there"))
        if isinstance(found, HttpFailed):
            raise found
        if len(found.octets) > limit_octets:
            raise HttpFailed(f"it has more than {limit_octets} octets")
        return found


class RunDirectly:
    """`mailward.api.RunBlocking` without a thread."""

    async def __call__(self, function: Callable[[], T]) -> T:
        return function()
