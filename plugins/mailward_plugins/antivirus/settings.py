"""What an admin may set for the antivirus plugin, and the facts it gives to policies."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from mailward.api import Facts, Settings


@dataclass(frozen=True)
class AntivirusSettings(Settings):
    """engine: clamd, or test-file where there is none: then only the EICAR test file is recognised, and every finding says so.

    socket: path of clamd's unix socket, or "127.0.0.1:3310", "[::1]:3310".

    max_octets: nothing larger is sent; keep it at or below clamd's StreamMaxLength. max_parts: readings of parts that are scanned
    of one message. connections: scans at the same time per process. connect_limit, idle_limit, reply_limit: for reaching clamd,
    for one piece of data to be taken, and for its answer.
    """

    engine: Literal["clamd", "test-file"] = "clamd"
    socket: str = "/run/clamav/clamd.ctl"
    max_octets: int = 25_000_000
    max_parts: int = 500
    connections: int = 8
    connect_limit: timedelta = timedelta(seconds=3)
    idle_limit: timedelta = timedelta(seconds=10)
    reply_limit: timedelta = timedelta(seconds=25)

    def __post_init__(self) -> None:
        """Raises ValueError for what would scan nothing."""
        for name in ("max_octets", "max_parts", "connections"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: 1 or more was expected")


@dataclass(frozen=True)
class AntivirusFacts(Facts):
    """infected: something was found. name: what the scanner calls it, "" for nothing."""

    infected: bool = False
    name: str = ""
