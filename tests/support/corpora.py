"""Where is the test data that others wrote, and how is it read?"""

import json
import os
import tarfile
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("MAILWARD_CORPORA", Path(__file__).parents[3] / "shared" / "corpora"))


def corpus(*parts: str) -> Path:
    """A file of the corpora folder ($MAILWARD_CORPORA, else ../shared/corpora); fails the test when it is not there."""
    found = FOLDER.joinpath(*parts)
    if not found.exists():
        pytest.fail(f"the corpus {'/'.join(parts)} is not at {found}; set MAILWARD_CORPORA")
    return found


def corpus_json(*parts: str) -> object:
    return json.loads(corpus(*parts).read_text())


@cache
def corpus_members(*parts: str) -> dict[str, bytes]:
    """The files of a tar archive by their names."""
    with tarfile.open(corpus(*parts)) as archive:
        return {member.name: file.read() for member in archive if (file := archive.extractfile(member)) is not None}
