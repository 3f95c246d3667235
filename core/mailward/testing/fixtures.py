"""The pytest plugin of `mailward.testing`: fixtures for authors of plugins."""

import pytest

from mailward.testing.fakes import FakeClock, FakeZone
from mailward.testing.logins import Login
from mailward.testing.scanning import Scan


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands at 2026-01-01 12:00 UTC until the test moves it."""
    return FakeClock()


@pytest.fixture
def fake_zone() -> FakeZone:
    """DNS with nothing in it; `fake_zone.add("example.net", "TXT", "v=spf1 -all")`."""
    return FakeZone()


@pytest.fixture
def scan(fake_zone: FakeZone, clock: FakeClock) -> Scan:
    """Judge a message: `scan(mail, plugins=[acme_dlp]).findings["ACME_DLP_CARDS"]`. It uses `fake_zone` and `clock`."""
    return Scan(fake_zone, clock)


@pytest.fixture
def login(clock: FakeClock) -> Login:
    """Try to log in: `login("bob", "secret", plugins=["accounts", acme_login], passwords={"bob": "secret"}).result`."""
    return Login(clock)
