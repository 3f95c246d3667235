"""What an admin may set for the tlsrpt plugin."""

from dataclasses import dataclass
from datetime import timedelta

from mailward.api import Settings


@dataclass(frozen=True)
class TlsrptSettings(Settings):
    """keep: how long it is remembered what connections came to."""

    keep: timedelta = timedelta(days=90)
