"""What authors of plugins test with: the `scan` fixture and fakes of the services. No server, no network, no waiting.

pytest finds the fixtures `scan`, `fake_zone` and `clock` by itself once Mailward is installed.
"""

from mailward.testing.fakes import FakeClock, FakeZone, MemoryKeyValue, MemoryLog
from mailward.testing.scanning import Scan, ScanResult

__all__ = ["FakeClock", "FakeZone", "MemoryKeyValue", "MemoryLog", "Scan", "ScanResult"]
