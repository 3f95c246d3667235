"""A resolver of whose answers somebody takes notes."""

import asyncio
from collections.abc import Callable

from mailward.api.services import DnsTemporaryError, Resolver
from mailward.model.dns import DnsAnswer, RecordType

Note = Callable[[str, RecordType, DnsAnswer | str], None]
"""Told of each question and its answer, or why there was none that can be used."""
GIVEN_UP = "no answer in the time of who asked"


class NotedResolver:
    """`mailward.api.Resolver` that asks another one."""

    def __init__(self, resolver: Resolver, note: Note) -> None:
        self._resolver = resolver
        self._note = note

    async def resolve(self, name: str, record_type: RecordType) -> DnsAnswer:
        """As the other one's. Raises DnsTemporaryError."""
        try:
            answer = await self._resolver.resolve(name, record_type)
        except DnsTemporaryError as error:
            self._note(name, record_type, str(error))
            raise
        except asyncio.CancelledError:
            self._note(name, record_type, GIVEN_UP)
            raise
        self._note(name, record_type, answer)
        return answer
