"""Whole sessions in the RFC's own form, over the real store: sent whole, and octet by octet."""

import re
from itertools import zip_longest
from pathlib import Path

import pytest

from support.imap import settle
from support.managesieve import Client, Office

FOLDER = Path(__file__).parent / "transcripts"


@pytest.mark.parametrize("step", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
async def test_transcript(name: str, step: int, tmp_path: Path) -> None:
    lines = (FOLDER / f"{name}.txt").read_text().split("\n")
    sent = "".join(f"{line[3:]}\r\n" for line in lines if line.startswith("C:")).encode()
    expected = [line[3:] for line in lines if line.startswith("S:")] + [""]
    client = Client(Office(tmp_path))
    await client.response()
    begun = len(client.wire.sent)
    for at in range(0, len(sent), step):
        client.wire.feed(sent[at : at + step])
    await settle(client)
    got = client.wire.sent[begun:].decode()
    await client.drop()
    for line, wanted in zip_longest(got.split("\r\n"), expected, fillvalue="(nothing)"):
        assert re.fullmatch(re.escape(wanted).replace(re.escape("<any>"), ".*"), line), f"{line!r} is not {wanted!r} in\n{got}"
