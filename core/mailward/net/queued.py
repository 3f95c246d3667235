"""The queue over the local socket: the process that has it answers, `mailward queue` asks. Both sides of the same few calls.

list                        {"selection", "after"}            ->  the fields of a Page
retry, hold, release, drop  {"selection", "after", "reason"}  ->  the fields of an Ordered

selection: the fields of a Selection. after: the `following` of the answer before, "" at first.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, cast

from mailward.delivery.control import Done, Ordered, Page, QueueControl, Selection, WaitingMessage, WaitingRecipient
from mailward.net.local import Handler, LocalServer, Values, call_once

Order = Literal["retry", "hold", "release", "drop"]


class QueueServer:
    """Serves looking and orders."""

    def __init__(self, path: Path, control: QueueControl) -> None:
        handlers: dict[str, Handler] = {
            "list": _handler(lambda selection, after, _: control.list(selection, after)),
            "retry": _handler(lambda selection, after, _: control.retry(selection, after)),
            "hold": _handler(lambda selection, after, reason: control.hold(selection, reason, after)),
            "release": _handler(lambda selection, after, _: control.release(selection, after)),
            "drop": _handler(lambda selection, after, reason: control.drop(selection, reason, after)),
        }
        self._server = LocalServer(path, handlers)

    async def start(self) -> None:
        """Raises OSError."""
        await self._server.start()

    async def close(self) -> None:
        await self._server.close()


def pages(path: Path, selection: Selection) -> Iterator[Page]:
    """What waits, a call for each page; blocking, for the command line. Raises PeerAway and Refusal."""
    after = ""
    while True:
        page = _page(_call(path, "list", selection, after, ""))
        yield page
        after = page.following
        if not after:
            return


def order(path: Path, name: Order, selection: Selection, reason: str = "") -> Iterator[Done]:
    """Give an order: for whom it was carried out, a call for each page. Blocking, as `pages`. Raises PeerAway and Refusal."""
    after = ""
    while True:
        ordered = _ordered(_call(path, name, selection, after, reason))
        yield from ordered.recipients
        after = ordered.following
        if not after:
            return


def _handler(call: Callable[[Selection, str, str], Page | Ordered]) -> Handler:
    async def handle(values: Values) -> Values:
        selection = Selection(**_fields(values["selection"]))
        return asdict(await asyncio.to_thread(call, selection, str(values["after"]), str(values["reason"])))

    return handle


def _call(path: Path, name: str, selection: Selection, after: str, reason: str) -> Values:
    return call_once(path, name, {"selection": asdict(selection), "after": after, "reason": reason})


def _page(values: Values) -> Page:
    return Page(tuple(_message(_fields(message)) for message in _list(values["messages"])), str(values["following"]))


def _message(values: dict[str, Any]) -> WaitingMessage:
    recipients = tuple(WaitingRecipient(**_fields(recipient)) for recipient in _list(values["recipients"]))
    return WaitingMessage(**{**values, "recipients": recipients})


def _ordered(values: Values) -> Ordered:
    return Ordered(tuple(Done(**_fields(done)) for done in _list(values["recipients"])), str(values["following"]))


def _list(value: object) -> list[object]:
    return cast(list[object], value)


def _fields(value: object) -> dict[str, Any]:
    """Those of a dataclass, as its other side wrote them."""
    return cast(dict[str, Any], value)
