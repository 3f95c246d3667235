"""Whole sessions in the RFCs' own form, over the real store: sent whole, and octet by octet."""

import re
from itertools import zip_longest
from pathlib import Path

import pytest

from support.imap import settle
from support.pop3 import Client, Office

FOLDER = Path(__file__).parent / "transcripts"
FIRST = b"Subject: first\r\n\r\n"
SECOND = b"Subject: second\r\n\r\n"


@pytest.mark.parametrize("step", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
async def test_transcript(name: str, step: int, tmp_path: Path) -> None:
    lines = (FOLDER / f"{name}.txt").read_text().split("\n")
    sent = "".join(f"{line[3:]}\r\n" for line in lines if line.startswith("C:")).encode()
    expected = [line[3:] for line in lines if line.startswith("S:")] + [""]
    office = Office(tmp_path)
    office.deliver(FIRST + b"x" * (118 - len(FIRST)) + b"\r\n", SECOND + b"y" * (198 - len(SECOND)) + b"\r\n", name="mrose")
    client = Client(office)
    for at in range(0, len(sent), step):
        client.wire.feed(sent[at : at + step])
    await settle(client)
    got = client.wire.sent.decode()
    await client.close()
    for line, wanted in zip_longest(got.split("\r\n"), expected, fillvalue="(nothing)"):
        assert re.fullmatch(re.escape(wanted).replace(re.escape("<any>"), ".*"), line), f"{line!r} is not {wanted!r} in\n{got}"
