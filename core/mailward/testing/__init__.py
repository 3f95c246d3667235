"""What authors of plugins test with: fixtures, makers of what hooks are given, and fakes of the services.

No server, no network, no waiting. pytest finds the fixtures `scan`, `login`, `call_hook`, `fake_services`, `fake_zone` and
`clock` by itself once Mailward is installed.
"""

from mailward.services.kv_memory import MemoryKeyValue
from mailward.testing.calling import CallHook, HookFailed
from mailward.testing.fakes import (
    FakeClock,
    FakeCredentials,
    FakeHttp,
    FakeZone,
    MemoryLog,
    MemoryMetrics,
    MemorySecrets,
    SentMail,
)
from mailward.testing.logins import Login
from mailward.testing.making import (
    make_attempt,
    make_classified,
    make_day,
    make_delivery,
    make_envelope,
    make_evidence,
    make_forward_path,
    make_host,
    make_identity,
    make_login,
    make_mail,
    make_message,
    make_moved,
    make_outcome,
    make_relaying,
    make_secret,
    make_session,
)
from mailward.testing.recorded import Recorded, recorded, recordings
from mailward.testing.scanning import Scan, ScanResult
from mailward.testing.world import FakeServices

__all__ = [
    "CallHook",
    "FakeClock",
    "FakeCredentials",
    "FakeHttp",
    "FakeServices",
    "FakeZone",
    "HookFailed",
    "Login",
    "MemoryKeyValue",
    "MemoryLog",
    "MemoryMetrics",
    "MemorySecrets",
    "Recorded",
    "Scan",
    "ScanResult",
    "SentMail",
    "make_attempt",
    "make_classified",
    "make_day",
    "make_delivery",
    "make_envelope",
    "make_evidence",
    "make_forward_path",
    "make_host",
    "make_identity",
    "make_login",
    "make_mail",
    "make_message",
    "make_moved",
    "make_outcome",
    "make_relaying",
    "make_secret",
    "make_session",
    "recorded",
    "recordings",
]
