"""Whatever a plugin may import is explained on one page."""

from pathlib import Path

import pytest

from mailward import api
from mailward.testing import apipage

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"


def test_the_page_has_every_exported_name_once() -> None:
    assert sorted(name for names in apipage.GROUPS.values() for name in names) == sorted(api.__all__)


@pytest.mark.parametrize("name", api.__all__)
def test_what_is_exported_has_a_docstring(name: str) -> None:
    assert apipage.exported(name).text


def test_a_method_is_shown_with_its_signature_and_docstring() -> None:
    section = apipage.page().split("\n### KeyValue\n")[1].split("\n### ")[0]
    assert "    async def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:\n" in section
    assert '        """The counters of those keys that exist."""\n' in section
    assert "durable when it returns True" in section and "Keys at most 256 octets, values 64 KiB." in section


def test_a_second_name_of_a_class_is_shown_as_that_class() -> None:
    assert "class SessionView:\n    id: SessionId\n" in apipage.page()


def test_the_page_is_up_to_date() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == apipage.page(), "write it again: python -m mailward.testing.apipage > docs/reference/api.md"
