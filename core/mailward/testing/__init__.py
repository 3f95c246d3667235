"""What authors of plugins test with: the fixtures `scan` and `login`, and fakes of the services.

No server, no network, no waiting.
pytest finds the fixtures `scan`, `login`, `fake_zone` and `clock` by itself once Mailward is installed.
"""

from mailward.testing.fakes import (
    FakeClock,
    FakeCredentials,
    FakeHttp,
    FakeZone,
    MemoryKeyValue,
    MemoryLog,
    MemorySecrets,
    SentMail,
)
from mailward.testing.logins import Login
from mailward.testing.scanning import Scan, ScanResult

__all__ = [
    "FakeClock",
    "FakeCredentials",
    "FakeHttp",
    "FakeZone",
    "Login",
    "MemoryKeyValue",
    "MemoryLog",
    "MemorySecrets",
    "Scan",
    "ScanResult",
    "SentMail",
]
