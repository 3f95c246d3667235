"""`mailward train` on a public corpus, beside nothing but an installation: what it has learnt, `scan` knows."""

import asyncio
import json
import time
from pathlib import Path

from mailward.app.config_file import load_config
from mailward.app.scanning import ScanInput, scan
from mailward.model.address import NULL_REVERSE_PATH
from support.corpora import corpus, corpus_members
from support.mail import crlf
from support.server import Server, server

LESSONS = 300
"""Of each kind."""
POLICY = "version: 1\nplugins: {spam: {}}\n"


def _lay_out(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """The corpus as files: (label, part) -> paths."""
    members = corpus_members("spam", "csdmc2010.tar.xz")
    found: dict[tuple[str, str], list[Path]] = {}
    for line in corpus("spam", "csdmc2010.index.tsv").read_text().splitlines()[1:]:
        path, label, _, part, *_ = line.split("\t")
        names = found.setdefault((label, part), [])
        if len(names) < LESSONS:
            target = folder / label / part / Path(path).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(members[path])
            names.append(target)
    return found


def _train(made: Server, kind: str, folder: Path) -> dict[str, int]:
    done = made.run("train", kind, str(folder), "--json")
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


def test_a_few_hundred_messages_teach_the_spam_plugin() -> None:
    with server(policy=POLICY, start=False) as made:
        folder = made.folder.parent / "corpus"
        files = _lay_out(folder)
        began = time.perf_counter()
        for kind in ("ham", "spam"):
            counts = _train(made, kind, folder / kind / "train")
            expected = len(files[kind, "train"])
            assert counts["messages"] + counts["unreadable"] == expected
            assert counts["messages"] > 0.98 * expected and counts["failed"] == 0
        took_s = time.perf_counter() - began
        print(f"{2 * LESSONS / took_s:.0f} messages a second, the start of two commands among them")
        right = asyncio.run(_right(made, files))
        assert right["ham"] >= 45 and right["spam"] >= 40, right


async def _right(made: Server, files: dict[tuple[str, str], list[Path]]) -> dict[str, int]:
    """How many of 50 others of each kind are called what they are; asked in this process, where a start costs nothing."""
    config = load_config(made.config)
    right = {"ham": 0, "spam": 0}
    for kind in right:
        for path in files[kind, "dev"][:50]:
            given = ScanInput(crlf(path.read_bytes()), "192.0.2.1", None, NULL_REVERSE_PATH, ())
            calls = (await scan(config, given)).record.calls
            right[kind] += f"BAYES_{kind.upper()}" in {finding.symbol for call in calls for finding in call.findings}
    return right
