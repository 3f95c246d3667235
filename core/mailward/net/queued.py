"""The queue over the local socket: the process that has it answers, `mailward queue` asks. Both sides of the same few calls.

list                        {"selection", "after"}            ->  the fields of a Page
count                       {"selection", "after", "by"}      ->  the fields of a Counts
retry, hold, release, drop  {"selection", "after", "reason"}  ->  the fields of an Ordered
note                        {"id"}                            ->  {"is_here"}
standing                    {}                                ->  {"orders": the fields of each StandingOrder}
stand                       {"order": its fields}             ->  {}
lift                        {"selection", "is_reroute"}       ->  {"orders": those taken back}
metrics                     {"after": a number}      ->  {"families": the fields of each Family, "following"}

selection: the fields of a Selection. after: `following` of the answer before, "" at first. A question about a long queue is so
many calls that each of them is short; `told` hears after each how far it has come.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from mailward.delivery import calls
from mailward.delivery.calls import By, Done, Group, Progress, Selection, StandingOrder, WaitingMessage, WaitingRecipient
from mailward.model.metrics import Family, Series, Spread
from mailward.net.local import Handler, LocalServer, Values, call_once

if TYPE_CHECKING:  # a command that only asks would load half of the server
    from mailward.delivery.control import QueueControl

Order = Literal["retry", "hold", "release", "drop"]
SERIES_AT_ONCE = 200
"""So that an answer fits into a line of the socket, whatever plugins write into labels."""
Told = Callable[[int, int], None]
"""Hears of how many messages of the queue have been looked at, and how many there are."""


class QueueServer:
    """Serves looking and orders."""

    def __init__(self, path: Path, control: "QueueControl", metrics: Callable[[], Sequence[Family]]) -> None:
        """metrics: what is counted in all processes."""
        handlers: dict[str, Handler] = {
            "list": _handler(lambda selection, after, _: control.list(selection, after)),
            "count": _handler(lambda selection, after, by: control.count(selection, cast(By, by), after), "by"),
            "retry": _handler(lambda selection, after, _: control.retry(selection, after)),
            "hold": _handler(lambda selection, after, reason: control.hold(selection, reason, after)),
            "release": _handler(lambda selection, after, _: control.release(selection, after)),
            "drop": _handler(lambda selection, after, reason: control.drop(selection, reason, after)),
            "metrics": _blocking(lambda values: _some(metrics(), cast(int, values["after"]))),
            "note": _blocking(lambda values: {"is_here": control.note(str(values["id"]))}),
            "standing": _blocking(lambda _: _orders(control.standing)),
            "stand": _blocking(lambda values: _stand(control, values)),
            "lift": _blocking(
                lambda values: _orders(
                    control.lift(Selection(**_fields(values["selection"])), is_reroute=values["is_reroute"] is True)
                )
            ),
        }
        self._server = LocalServer(path, handlers)

    async def start(self) -> None:
        """Raises OSError."""
        await self._server.start()

    async def close(self) -> None:
        await self._server.close()


def messages(path: Path, selection: Selection, told: Told) -> Iterator[WaitingMessage]:
    """What waits, each message whole; blocking, for the command line. Raises PeerAway and Refusal."""
    last: WaitingMessage | None = None
    for answer in _calls(path, "list", selection, told):
        for values in _list(answer["messages"]):
            message = _message(_fields(values))
            if last is not None and last.id == message.id:
                last = replace(last, recipients=last.recipients + message.recipients)
                continue
            if last is not None:
                yield last
            last = message
    if last is not None:
        yield last


def groups(path: Path, selection: Selection, by: By, told: Told) -> list[Group]:
    """All of them, the largest first. Blocking, as `messages`."""
    found: dict[str, Group] = {}
    for answer in _calls(path, "count", selection, told, by=by):
        for values in _list(answer["groups"]):
            fields = _fields(values)
            group = Group(**{**fields, "ages": tuple(fields["ages"])})
            found[group.name] = found[group.name].joined(group) if group.name in found else group
    return sorted(found.values(), key=lambda group: (-group.recipients, group.name))


def order(path: Path, name: Order, selection: Selection, told: Told, reason: str = "") -> Iterator[Done]:
    """Give an order: for whom it was carried out. Blocking, as `messages`."""
    for answer in _calls(path, name, selection, told, reason=reason):
        yield from (Done(**_fields(done)) for done in _list(answer["recipients"]))


def note(path: Path, id: str) -> bool:
    """As `QueueControl.note`. Blocking, as `messages`."""
    return call_once(path, "note", {"id": id})["is_here"] is True


def standing(path: Path) -> list[StandingOrder]:
    """Orders that hold for mail to come. Blocking, as `messages`."""
    return _read_orders(call_once(path, "standing", {}))


def stand(path: Path, order: StandingOrder) -> None:
    """Give one. Blocking, as `messages`."""
    call_once(path, "stand", {"order": asdict(order)})


def lift(path: Path, selection: Selection, *, is_reroute: bool) -> list[StandingOrder]:
    """Take back those for just this mail, or all; they are returned. Blocking, as `messages`."""
    return _read_orders(call_once(path, "lift", {"selection": asdict(selection), "is_reroute": is_reroute}))


def metrics(path: Path) -> list[Family]:
    """What is counted in all processes of the server. Blocking, as `messages`."""
    found: list[Family] = []
    after = 0
    while True:
        answer = call_once(path, "metrics", {"after": after})
        for family in (_family(_fields(values)) for values in _list(answer["families"])):
            if found and (found[-1].owner, found[-1].name) == (family.owner, family.name):
                found[-1] = replace(found[-1], series=found[-1].series + family.series)
            else:
                found.append(family)
        after = cast(int, answer["following"])
        if not after:
            return found


def _some(families: Sequence[Family], after: int) -> Values:
    """As many series as surely fit into a line of the socket, without the first `after`."""
    pairs = [(family, one) for family in families for one in family.series]
    page = pairs[after : after + SERIES_AT_ONCE]
    following = after + len(page)
    found = [asdict(replace(family, series=tuple(one for _, one in some))) for family, some in groupby(page, itemgetter(0))]
    return {"families": found, "following": following if following < len(pairs) else 0}


def _family(values: dict[str, Any]) -> Family:
    series = tuple(_series(_fields(one)) for one in _list(values["series"]))
    return Family(**{**values, "labels": tuple(values["labels"]), "series": series})


def _series(values: dict[str, Any]) -> Series:
    spread = values["spread"]
    if spread is not None:
        spread = Spread(**{**spread, "at_most": tuple(tuple(pair) for pair in spread["at_most"])})
    return Series(tuple(values["values"]), values["number"], spread)


def _blocking(call: Callable[[Values], Values]) -> Handler:
    async def handle(values: Values) -> Values:
        return await asyncio.to_thread(call, values)

    return handle


def _stand(control: "QueueControl", values: Values) -> Values:
    control.stand(StandingOrder(**_fields(values["order"])))
    return {}


def _orders(orders: Sequence[StandingOrder]) -> Values:
    return {"orders": [asdict(order) for order in orders]}


def _read_orders(values: Values) -> list[StandingOrder]:
    return [StandingOrder(**_fields(order)) for order in _list(values["orders"])]


def _handler(call: Callable[[Selection, str, str], calls.Page | calls.Counts | calls.Ordered], more: str = "reason") -> Handler:
    async def handle(values: Values) -> Values:
        selection = Selection(**_fields(values["selection"]))
        return asdict(await asyncio.to_thread(call, selection, str(values["after"]), str(values.get(more, ""))))

    return handle


def _calls(path: Path, name: str, selection: Selection, told: Told, **more: str) -> Iterator[Values]:
    """A call for each page."""
    after, looked = "", 0
    while True:
        answer = call_once(path, name, {"selection": asdict(selection), "after": after, **more})
        progress = Progress(**_fields(answer["progress"]))
        looked += progress.looked
        told(looked, progress.total)
        yield answer
        after = progress.following
        if not after:
            return


def _message(values: dict[str, Any]) -> WaitingMessage:
    recipients = tuple(WaitingRecipient(**_fields(recipient)) for recipient in _list(values["recipients"]))
    return WaitingMessage(**{**values, "recipients": recipients})


def _list(value: object) -> list[object]:
    return cast(list[object], value)


def _fields(value: object) -> dict[str, Any]:
    """Those of a dataclass, as its other side wrote them."""
    return cast(dict[str, Any], value)
