"""imaptest's scripts that need only what we offer (dovecot/imaptest src/tests)."""

from pathlib import Path

import pytest

from mailward.access.imap.capabilities import CAPABILITIES
from support.corpora import corpus_members
from support.imap import Office
from support.imaptest import Run, read_scripts

BROKEN = {"broken/search-intdate"}
"""Marked so upstream: it wants internal dates kept in the zone they were given in."""


def runnable() -> list[str]:
    scripts = read_scripts(corpus_members("imap", "imaptest-scripts.tar.xz"))
    return [script.name for script in scripts if script.capabilities <= set(CAPABILITIES) and script.name not in BROKEN]


@pytest.mark.parametrize("name", runnable())
async def test_imaptest_script(name: str, tmp_path: Path) -> None:
    (script,) = (s for s in read_scripts(corpus_members("imap", "imaptest-scripts.tar.xz")) if s.name == name)
    await Run(Office(tmp_path), script, "imaptest").run()
