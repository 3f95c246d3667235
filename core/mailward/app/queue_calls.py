"""What the queue process answers `mailward queue`: JSON in, JSON out, one page a call. Who may call is the socket's business."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from mailward.delivery.control import Outcome, Page, QueueControl, Selection

Values = Mapping[str, Any]
Handler = Callable[[Values], Awaitable[Values]]


def queue_calls(control: QueueControl) -> Mapping[str, Handler]:
    """list, retry, hold, release, drop by name.

    Each takes `selection` (the fields of a Selection), `after` (the `following` of the page before, or nothing), and hold and
    drop a `reason`. The answer has the fields of a Page or an Outcome.
    """

    def handler(order: Callable[[Selection, str, str], Page | Outcome]) -> Handler:
        async def handle(values: Values) -> Values:
            selection = Selection(**values["selection"])
            return asdict(await asyncio.to_thread(order, selection, values.get("after", ""), values.get("reason", "")))

        return handle

    return {
        "list": handler(lambda selection, after, _: control.list(selection, after)),
        "retry": handler(lambda selection, after, _: control.retry(selection, after)),
        "hold": handler(lambda selection, after, reason: control.hold(selection, reason, after)),
        "release": handler(lambda selection, after, _: control.release(selection, after)),
        "drop": handler(lambda selection, after, reason: control.drop(selection, reason, after)),
    }
