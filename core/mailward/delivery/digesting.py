"""When does who get a digest? Once a day, at an hour that the admin names, whoever has something new in the quarantine."""

import asyncio
from datetime import date, datetime

import structlog

from mailward.api.services import Clock, Submit
from mailward.delivery.digest import MOST_LISTED, DigestWriter
from mailward.directory import Account, Directory
from mailward.quarantine import Quarantine

log = structlog.get_logger("mailward.delivery")


class Digesting:
    """Sends the digests of a day. Of all processes one does this. hour: of the day, from which on they go."""

    def __init__(
        self, quarantine: Quarantine, directory: Directory, writer: DigestWriter, submit: Submit, clock: Clock, hour: int
    ) -> None:
        self._quarantine = quarantine
        self._directory = directory
        self._writer = writer
        self._submit = submit
        self._clock = clock
        self._hour = hour

    async def send_due(self) -> int:
        """Send what is due and has not been sent; how many. What is interrupted goes on. Raises StorageError."""
        digests, now = self._quarantine.digests, self._clock.now()
        local = now.astimezone(self._writer.zone)
        if local.hour < self._hour:
            return 0
        upto = await asyncio.to_thread(digests.begin_round, local.date())
        if upto is None:
            return 0
        accounts = {account.id: account for account in self._directory.accounts()}
        waiting = await asyncio.to_thread(digests.waiting, tuple(accounts), upto)
        sent = [await self._send(accounts[id], local.date(), upto, now) for id in waiting]
        await asyncio.to_thread(digests.end_round)
        log.info("quarantine digests", sent=sum(sent))
        return sum(sent)

    async def _send(self, account: Account, day: date, upto: int, now: datetime) -> bool:
        """Whether there was anything to send that was not sent before."""
        digests = self._quarantine.digests
        portion = await asyncio.to_thread(digests.begin, account.id, day, upto)
        if portion is None:
            return False
        news = await asyncio.to_thread(digests.news, portion, MOST_LISTED)
        is_sent = False
        if news.total or news.infected:
            octets = self._writer.write(account, portion, news, now)
            try:
                is_sent = await self._submit(str(account.address), octets, key=portion.key)
            except ValueError:  # the account was removed just now
                log.info("no digest", to=str(account.address), reason="it is nobody's mailbox any more")
        await asyncio.to_thread(digests.sent, portion)
        return is_sent
