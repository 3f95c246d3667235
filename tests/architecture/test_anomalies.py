"""Every anomaly is in the catalogue, is found by somebody, and is explained."""

import ast
import re
from pathlib import Path

import pytest

import mailward
from mailward.formats.anomalies import ANOMALIES
from mailward.testing import anomalypage

FORMATS = Path(mailward.__file__).parent / "formats"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "anomalies.md"
_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")


def _words(path: Path) -> set[str]:
    """What the code says in capitals."""
    constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str) and _NAME.fullmatch(value)}


@pytest.mark.parametrize(
    "name", [name for name in ANOMALIES if not name.startswith("DUPLICATE_") or name == "DUPLICATE_PARAMETER"]
)
def test_an_anomaly_is_found_somewhere(name: str) -> None:
    assert any(name in _words(path) for path in FORMATS.glob("*.py") if path.name != "anomalies.py")


def test_the_page_is_written() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == anomalypage.page(), "write it again: python -m mailward.testing.anomalypage > docs/reference/anomalies.md"
