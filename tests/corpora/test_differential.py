"""The messages of other projects, as they are and changed, beside two other readers: each disagreement carries an anomaly."""

import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.corpora import corpus, corpus_members
from support.differential import unexplained
from support.mutations import crlf, mutated
from support.reading import read_everything

MAX_SEED_OCTETS = 6_000
_FIELD = re.compile(rb"(?:From [^\n]*\n)?[A-Za-z-]+:")

ARCHIVES = sorted(
    f"{folder}/{path.name}" for folder in ("mime", "mime-evasion", "clients") for path in corpus(folder).glob("*.tar.xz")
)


def _messages(archive: str) -> dict[str, bytes]:
    return {name: octets for name, octets in corpus_members(*archive.split("/")).items() if _FIELD.match(octets)}


@cache
def _seeds() -> tuple[bytes, ...]:
    return tuple(crlf(octets) for archive in ARCHIVES for octets in _messages(archive).values() if len(octets) <= MAX_SEED_OCTETS)


@pytest.mark.parametrize("archive", ARCHIVES)
def test_each_disagreement_about_a_fixture_carries_an_anomaly(archive: str) -> None:
    for name, octets in _messages(archive).items():
        assert unexplained(octets) == [], name
        assert unexplained(crlf(octets)) == [], name


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.deferred(lambda: mutated(_seeds())))
def test_each_disagreement_about_a_changed_fixture_carries_an_anomaly(octets: bytes) -> None:
    assert unexplained(octets) == []


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.deferred(lambda: mutated(_seeds()).map(crlf)))
def test_each_disagreement_carries_an_anomaly_when_lines_are_sound(octets: bytes) -> None:
    assert unexplained(octets) == []


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.deferred(lambda: mutated(_seeds())))
def test_changed_fixtures_are_read_to_the_end(octets: bytes) -> None:
    read_everything(octets)
