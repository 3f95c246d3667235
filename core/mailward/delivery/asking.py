"""Does the next hop of a domain know this recipient? Asked by MAIL and RCPT, without a message."""

import asyncio

import structlog

from mailward.delivery.ports import Connector, HostFailed
from mailward.delivery.route import NoRoute, Router
from mailward.formats.text import one_line
from mailward.model.address import ForwardPath
from mailward.model.tls import ANY_PEER
from mailward.protocol.smtp.outgoing import Outcome, Result

LIMIT_S = 20.0
"""For one question: whoever sends to us waits for it at RCPT."""
MOST_HOSTS = 3
_OF_US = "5.7."
"""Enhanced codes that speak of the sender or of us and not of the recipient (RFC 3463 section 3.8)."""

log = structlog.get_logger("mailward.outbound")


class RecipientQuestions:
    """Asks over connections of its own."""

    def __init__(self, router: Router, connector: Connector, limit_s: float = LIMIT_S) -> None:
        self._router = router
        self._connector = connector
        self._limit_s = limit_s

    async def ask(self, forward_path: ForwardPath) -> bool | None:
        """True: it takes mail for it. False: it has said 5xx to RCPT. None: it is not known now, whatever else went wrong."""
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._ask(forward_path)
        except TimeoutError:
            log.info("recipient not verified", domain=forward_path.address.domain, why=f"no answer in {self._limit_s:g} s")
            return None

    async def _ask(self, forward_path: ForwardPath) -> bool | None:
        domain, why = forward_path.address.domain, ""
        route = await self._router.find(domain)
        if isinstance(route, NoRoute):
            log.info("recipient not verified", domain=domain, why=one_line(str(route.reply)))
            return None
        for target in route[:MOST_HOSTS]:
            try:
                hop = await self._connector.connect(target, domain, ANY_PEER)
            except HostFailed as failure:
                why = f"{target}: {failure}"
                continue
            try:
                outcome = await hop.ask(forward_path)
            finally:
                await hop.close()
            if (known := _known(outcome)) is not None:
                return known
            why = f"{target}: {outcome.reply}"
        log.info("recipient not verified", domain=domain, why=one_line(why))
        return None


def _known(outcome: Outcome) -> bool | None:
    if outcome.result is Result.ACCEPTED:
        return True
    refused = outcome.result is Result.PERMANENT and outcome.by_peer
    return False if refused and not (outcome.reply.enhanced or "").startswith(_OF_US) else None
