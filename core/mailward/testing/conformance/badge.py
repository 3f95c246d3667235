"""The line at the end: how many of the checks did a plugin pass, and where?"""

from collections.abc import Mapping, Sequence
from typing import get_args

import pytest

from mailward.api import API_VERSION
from mailward.testing.conformance.checks import CHECK, MODE, Mode


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each plugin whose class was run."""
    for line in badges([report for reports in terminalreporter.stats.values() for report in reports]):
        terminalreporter.write_line(line)


def badges(reports: Sequence[object]) -> list[str]:
    """From the reports of all tests. A check is passed when it is in every mode, from set-up to the end."""
    checks: dict[str, dict[str, bool]] = {}
    modes: dict[str, set[str]] = {}
    for report in reports:
        if not isinstance(report, pytest.TestReport) or (report.when != "call" and report.passed):
            continue
        told = dict(report.user_properties)
        if CHECK not in told:
            continue
        plugin, _, check = str(told[CHECK]).partition(" ")
        known = checks.setdefault(plugin, {})
        known[check] = known.get(check, True) and report.passed
        if MODE in told:
            modes.setdefault(plugin, set()).add(str(told[MODE]))
    return [
        f"{plugin}: Mailward API {API_VERSION} conformance: {_passed(known)}, {_where(modes.get(plugin, set()))}"
        for plugin, known in sorted(checks.items())
    ]


def _passed(checks: Mapping[str, bool]) -> str:
    return f"{sum(checks.values())} of {len(checks)} passed"


def _where(modes: set[str]) -> str:
    return " and ".join(mode for mode in get_args(Mode) if mode in modes) or "nowhere run"
