"""The pytest plugin of `mailward.testing`: fixtures for authors of plugins."""

import pytest

from mailward.testing.calling import CallHook
from mailward.testing.conformance.badge import pytest_terminal_summary
from mailward.testing.fakes import FakeClock, FakeZone
from mailward.testing.logins import Login
from mailward.testing.scanning import Scan
from mailward.testing.world import FakeServices

__all__ = ["call_hook", "clock", "fake_services", "fake_zone", "login", "pytest_terminal_summary", "scan"]


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands at 2026-01-01 12:00 UTC until the test moves it."""
    return FakeClock()


@pytest.fixture
def fake_zone() -> FakeZone:
    """DNS with nothing in it; `fake_zone.add("example.net", "TXT", "v=spf1 -all")`."""
    return FakeZone()


@pytest.fixture
def fake_services(fake_zone: FakeZone, clock: FakeClock) -> FakeServices:
    """Every service, faked; `fake_services.kv["acme_dlp"].values` is what a plugin has kept."""
    return FakeServices(fake_zone, clock)


@pytest.fixture
def scan(fake_services: FakeServices) -> Scan:
    """Judge a message: `scan(mail, plugins=[acme_dlp]).findings["ACME_DLP_CARDS"]`."""
    return Scan(fake_services)


@pytest.fixture
def login(fake_services: FakeServices) -> Login:
    """Try to log in: `login("bob", "secret", plugins=["accounts", acme_login], passwords={"bob": "secret"}).result`."""
    return Login(fake_services)


@pytest.fixture
def call_hook(fake_services: FakeServices) -> CallHook:
    """Call one hook of one plugin: `call_hook(acme_dlp, "inspect_mail", session=make_session("203.0.113.7"))`."""
    return CallHook(fake_services)
