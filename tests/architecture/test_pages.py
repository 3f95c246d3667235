"""Pages that keep a list of something keep all of it: the RFCs that are cited, the decisions in their numbers, the pages themselves."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATUS = ROOT / "docs" / "reference" / "rfc-status.md"
DECISIONS = ROOT / "docs" / "decisions"

_CITED = re.compile(r"\bRFCs? ([0-9]{3,5}\b(?:(?:,| and| or|, and) [0-9]{3,5}\b(?![.:]))*)")
"""One number, or several as in "RFC 2045, 2046 and 2231". RFC822.SIZE is the name of an IMAP item."""


def cited(text: str) -> set[int]:
    text = re.sub(r"\s+(?:# )?", " ", text)  # a citation may be broken over two lines
    return {int(number) for numbers in _CITED.findall(text) for number in re.findall("[0-9]+", numbers)}


def with_status() -> set[int]:
    found: set[int] = set()
    for cell in re.findall(r"^\| ([0-9][^|]*) \|", STATUS.read_text(encoding="utf-8"), re.MULTILINE):
        for first, last in re.findall(r"([0-9]{3,5})(?:-([0-9]{3,5}))?", cell):
            found.update(range(int(first), int(last or first) + 1))
    return found


def sources() -> Iterator[Path]:
    for folder, ending in (("core", "py"), ("plugins", "py"), ("plugins", "md"), ("docs", "md")):
        yield from (ROOT / folder).rglob(f"*.{ending}")


def test_citations_are_read_as_people_write_them() -> None:
    assert cited("(RFC 3501 sections 6.3.1, 6.3.2 and 6.4, RFC 3691, 4315).") == {3501, 3691, 4315}
    assert cited("RFC 9051 and 7162; RFC\n    # 2045, 2046 and 2231") == {9051, 7162, 2045, 2046, 2231}
    assert cited("RFC 5321 section 4.5.3, 1000 recipients; port 587, RFC822.SIZE") == {5321}


def test_every_rfc_that_is_cited_has_a_status() -> None:
    missing = {path.relative_to(ROOT): numbers for path in sources() if (numbers := cited(path.read_text()) - with_status())}
    assert not missing


def test_decisions_are_numbered_without_gaps_and_say_what_the_others_say() -> None:
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {page.name[:4]} "), page.name
        bold = re.findall(r"^\*\*([^*]+)\*\*", text, re.MULTILINE)
        assert bold in (
            ["Context.", "Choice.", "Costs."],
            ["Context.", "Choice.", "Costs.", "What would change our mind."],
        ), page.name


def test_the_first_page_leads_to_every_page_but_single_decisions() -> None:
    docs = ROOT / "docs"
    linked = set(re.findall(r"\]\(([^)#]+\.md)\)", (docs / "README.md").read_text(encoding="utf-8")))
    pages = {str(page.relative_to(docs)) for page in docs.rglob("*.md") if page.parent != DECISIONS} - {"README.md"}
    assert pages - linked == set()
