"""The world as it was when a message came, for plugins that are run on it again: its moment, and what DNS said then."""

from collections.abc import Iterable
from datetime import datetime
from typing import NoReturn

from mailward.api.services import DnsTemporaryError, HttpFailed, Resolver
from mailward.model.dns import DnsAnswer, RecordType
from mailward.model.receipt import Heard
from mailward.services.clock import SystemClock


class RecordedClock:
    """`mailward.api.Clock` that stands still."""

    def __init__(self) -> None:
        self._moment = SystemClock().now()

    def set(self, moment: datetime) -> None:
        """moment: aware, in UTC."""
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


class RecordedResolver:
    """`mailward.api.Resolver` that gives recorded answers. ask: who is asked what is not recorded; None: nobody.

    anew: questions about the present message that were not recorded, such as "TXT example.net".
    """

    def __init__(self, ask: Resolver | None) -> None:
        self.anew: set[str] = set()
        self._ask = ask
        self._heard: dict[tuple[str, RecordType], DnsAnswer | str] = {}

    def use(self, heard: Iterable[Heard]) -> None:
        """Give these answers from now on."""
        self._heard = {(one.name, one.record_type): one.answer for one in heard}
        self.anew = set()

    async def resolve(self, name: str, record_type: RecordType) -> DnsAnswer:
        """Raises DnsTemporaryError where it was raised then, and for what is not recorded when nobody is asked."""
        asked = name.removesuffix(".").lower()
        try:
            answer = self._heard[asked, record_type]
        except KeyError:
            self.anew.add(f"{record_type} {asked}")
            if self._ask is None:
                raise DnsTemporaryError(f"{asked} {record_type}: not asked when the message came") from None
            return await self._ask.resolve(name, record_type)
        if isinstance(answer, str):
            raise DnsTemporaryError(answer)
        return answer


class NoHttp:
    """`mailward.api.Http` that reaches nobody: what pages said then is not kept."""

    async def get(self, url: str, *, limit_octets: int, limit_s: float) -> NoReturn:
        raise HttpFailed("nothing is fetched for a message that is judged again")
