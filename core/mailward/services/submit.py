"""Sending mail in a process that has no queue."""

from datetime import datetime

from mailward.model.errors import LocalError


class NoSubmit:
    """`mailward.api.Submit` everywhere but in the queue process."""

    async def __call__(
        self, forward_path: str, octets: bytes, *, key: str, not_before: datetime | None = None, tls_optional: bool = False
    ) -> bool:
        """Raises LocalError."""
        raise LocalError("mail is sent by the queue process alone")
