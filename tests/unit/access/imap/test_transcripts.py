"""Whole sessions in the RFCs' own form, over the real store: sent whole, and octet by octet."""

import re
from itertools import zip_longest
from pathlib import Path

import pytest

from support.imap import Client, Office, settle

FOLDER = Path(__file__).parent / "transcripts"


def read(name: str) -> tuple[bytes, str]:
    """What the client sends, and what must come back; `<any>` stands for anything within a line."""
    lines = (FOLDER / f"{name}.txt").read_text().split("\n")
    sent = "".join(f"{line[3:]}\r\n" for line in lines if line.startswith("C:"))
    return sent.encode(), "".join(f"{line[3:]}\r\n" for line in lines if line.startswith("S:"))


@pytest.mark.parametrize("step", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
async def test_transcript(name: str, step: int, tmp_path: Path) -> None:
    sent, expected = read(name)
    client = Client(Office(tmp_path))
    for at in range(0, len(sent), step):
        client.wire.feed(sent[at : at + step])
    await settle(client)
    got = client.wire.sent.decode()
    await client.close()
    for line, wanted in zip_longest(got.split("\r\n"), expected.split("\r\n"), fillvalue="(nothing)"):
        assert re.fullmatch(re.escape(wanted).replace(re.escape("<any>"), ".*"), line), (
            f"{line!r} instead of {wanted!r} in\n{got}"
        )
