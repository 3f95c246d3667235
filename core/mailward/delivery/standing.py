"""What an admin ordered for mail that may come yet: hold it, or send it to another host. On disk, so it outlives restarts.

It is for mail to other servers, which passes the queue process; a reroute may be for one message alone. One process has the file.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from mailward.api.services import Clock
from mailward.delivery.calls import Selection, StandingOrder
from mailward.delivery.selecting import is_from, is_in
from mailward.delivery.static_hop import StaticHop, parse_hop
from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.queue.item import QueueItem

VERSION = 2
KEPT = timedelta(days=60)
"""A reroute of one message goes after this time: by then no mail waits any more."""

log = structlog.get_logger("mailward.queue")


class StandingOrders:
    """Safe from any thread. Raises StorageError for a file that cannot be read: orders must not be forgotten unseen."""

    def __init__(self, path: Path, disk: Disk, clock: Clock) -> None:
        self._path = path
        self._disk = disk
        self._clock = clock
        self._writing = threading.Lock()
        self._orders = self._read()

    @property
    def all(self) -> tuple[StandingOrder, ...]:
        """The oldest first."""
        return self._orders

    def route(self, item: QueueItem, domain: str) -> StaticHop | None:
        """Where to send it instead; what is said of the message goes before what is said of the domain."""
        found = [order for order in self._orders if order.via and (order.id == item.id if order.id else order.to == domain)]
        best = next((order for order in found if order.id), found[0] if found else None)
        return None if best is None else parse_hop(best.via)

    def hold_reason(self, item: QueueItem, forward_path: str) -> str:
        """Why it is to be held; "" when it is not."""
        return next(
            (
                order.reason
                for order in self._orders
                if not order.via and is_in(forward_path, order.to) and is_from(item, order.reverse_path)
            ),
            "",
        )

    def stand(self, order: StandingOrder) -> None:
        """Give it, in place of an earlier one of its kind for the same mail; durable when it returns. Raises StorageError."""
        self._change(lambda orders: (*(one for one in orders if not _same_mail(one, order)), order))

    def lift(self, selection: Selection, *, is_reroute: bool) -> tuple[StandingOrder, ...]:
        """Take back those for just this mail, or all of the kind when nothing is selected. Raises StorageError."""
        meant = (selection.id, selection.to.lower(), selection.reverse_path.lower())

        def is_meant(order: StandingOrder) -> bool:
            mail = (order.id, order.to.lower(), order.reverse_path.lower())
            return bool(order.via) == is_reroute and (selection == Selection() or mail == meant)

        lifted = tuple(order for order in self._orders if is_meant(order))
        if lifted:
            self._change(lambda orders: tuple(order for order in orders if not is_meant(order)))
        return lifted

    def _change(self, changed: Callable[[tuple[StandingOrder, ...]], tuple[StandingOrder, ...]]) -> None:
        with self._writing:
            oldest = self._clock.now() - KEPT
            orders = tuple(o for o in changed(self._orders) if not o.id or datetime.fromisoformat(o.at) > oldest)
            octets = json.dumps({"version": VERSION, "orders": [asdict(order) for order in orders]}).encode("ascii")
            try:
                self._disk.mkdir(self._path.parent)
                self._disk.write_whole(self._path, [octets])
            except OSError as error:
                raise StorageError(f"{self._path.name}: {error}") from error
            self._orders = orders

    def _read(self) -> tuple[StandingOrder, ...]:
        try:
            raw = json.loads(self._disk.read_whole(self._path))
            if raw["version"] not in (1, VERSION):
                raise ValueError(f"it is of version {raw['version']}, this release reads {VERSION}")
            orders = tuple(StandingOrder(**_with_via(order)) for order in raw["orders"])
            for order in orders:
                if order.via:
                    parse_hop(order.via)
            return orders
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{self._path}: {error}; mend it or move it away", permanent=True) from error


def _with_via(order: dict[str, str | int]) -> dict[str, str]:
    """Version 1 had host and port."""
    fields = {name: str(value) for name, value in order.items() if name not in ("host", "port")}
    host = order.get("host")
    return fields | {"via": f"smtp:{f'[{host}]' if ':' in str(host) else host}:{order['port']}"} if host else fields


def _same_mail(one: StandingOrder, other: StandingOrder) -> bool:
    return (bool(one.via), one.id, one.to, one.reverse_path) == (bool(other.via), other.id, other.to, other.reverse_path)
