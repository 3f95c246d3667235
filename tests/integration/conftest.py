"""Real programs and listeners that several of these tests share."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mailward.net.admission import Admission
from mailward.net.smtp_connection import SmtpSettings
from support.clamd_server import clamd_server
from support.dns_server import dns_server
from support.smtp_reception import Post, post
from support.smtp_service import Service, Start, running, throw_away_certificate

__all__ = ["clamd_server", "dns_server"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return throw_away_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def desk(tmp_path: Path) -> Post:
    return post(tmp_path)


@pytest.fixture(params=["asyncio", "uvloop"])
def start(request: pytest.FixtureRequest, desk: Post, certificate: tuple[Path, Path], settings: SmtpSettings) -> Iterator[Start]:
    """Starts a listener with TLS; `tls=False` without, other changes of the module's `settings` by name."""
    with ExitStack() as stack:

        def run(*, tls: bool = True, admission: Admission | None = None, **changes: object) -> Service:
            changed = replace(settings, **changes)  # type: ignore[arg-type]
            use = certificate if tls else None
            return stack.enter_context(
                running(desk, loop_name=request.param, settings=changed, certificate=use, admission=admission)
            )

        yield run
