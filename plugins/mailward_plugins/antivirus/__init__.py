"""Antivirus: clamd looks at the message and at everything in it."""

import asyncio
import time
from collections.abc import AsyncIterator
from weakref import WeakKeyDictionary

from mailward.api import Counter, Finding, Histogram, MessageView, Plugin, Services, Symbol, hookimpl
from mailward_plugins.antivirus.instream import ScanReply, scan
from mailward_plugins.antivirus.rules import ScanOutcome, scan_all
from mailward_plugins.antivirus.settings import AntivirusFacts, AntivirusSettings
from mailward_plugins.antivirus.testfile import look_for_test_file

plugin = Plugin(
    api=1,
    summary="Scans messages with ClamAV",
    settings=AntivirusSettings,
    facts=AntivirusFacts,
    symbols={
        "VIRUS_FOUND": Symbol(20.0, "The scanner found malware"),
        "AV_ENCRYPTED": Symbol(2.0, "The message carries something encrypted that the scanner cannot look into"),
        "AV_PARTIAL": Symbol(1.0, "Not everything was scanned"),
    },
    capabilities=("body", "network"),
)

NO_SCANNER = "not scanned: no scanner is set up, only the EICAR test file is looked for"

SCANS = Counter("scans", "Messages that were looked at, by what was found", ("result",))
SCAN_S = Histogram("scan_seconds", "Seconds that a message took, waiting for its turn included")

_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, asyncio.Semaphore]] = WeakKeyDictionary()
"""Bounds the scans of a process, by `connections`: a reload may change it. Each event loop has its own."""


@hookimpl
async def inspect_message(message: MessageView, settings: AntivirusSettings, services: Services) -> Finding:
    """One finding. No clear answer of the scanner is an exception, so that the policy's `on_error` decides."""
    of_loop = _slots.setdefault(asyncio.get_running_loop(), {})
    slots = of_loop.setdefault(settings.connections, asyncio.Semaphore(settings.connections))

    async def bounded_scan(pieces: AsyncIterator[bytes]) -> ScanReply:
        if settings.engine == "test-file":
            return await look_for_test_file(pieces)
        async with slots:
            return await scan(pieces, settings)

    started = time.monotonic()
    outcome = await scan_all(message, bounded_scan, services.run_blocking, settings.max_octets, settings.max_parts)
    services.metrics.observe(SCAN_S, time.monotonic() - started)
    services.metrics.count(SCANS, result=_word(outcome))
    return _finding(outcome, NO_SCANNER if settings.engine == "test-file" else "clean")


def _word(outcome: ScanOutcome) -> str:
    return "infected" if outcome.virus else "encrypted" if outcome.encrypted else "partial" if outcome.left_out else "clean"


def _finding(outcome: ScanOutcome, otherwise: str = "clean") -> Finding:
    if outcome.virus:
        facts = AntivirusFacts(infected=True, name=outcome.virus)
        return Finding("VIRUS_FOUND", f"This message carries {outcome.virus}", facts=facts, asks="reject")
    if outcome.encrypted:
        text = f"It carries something encrypted ({outcome.encrypted})"
        return Finding("AV_ENCRYPTED", text, facts=AntivirusFacts(), asks="quarantine")
    if outcome.left_out:
        return Finding("AV_PARTIAL", f"Not scanned: {outcome.left_out}", facts=AntivirusFacts(), asks="quarantine")
    return Finding(None, otherwise, facts=AntivirusFacts())
