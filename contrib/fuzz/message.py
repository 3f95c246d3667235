"""Coverage-guided fuzzing of the message parser: `make fuzz`, or `python contrib/fuzz/message.py [libFuzzer options] [FOLDER]`.

Looks for inputs that raise, take more than 100 ms per 10 kB, break an invariant, or are read otherwise by the standard library
or fast-mail-parser without an anomaly that says so. FOLDER keeps what was found worth keeping. It ends by itself only with
`-max_total_time=SECONDS` or `-runs=NUMBER`. An input that fails is written to a file, and can be given again as an argument.
"""

import sys
import time
from pathlib import Path

import atheris

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests")]

with atheris.instrument_imports(include=["mailward.formats"]):
    from mailward.formats.message import MessageView

from support.differential import unexplained
from support.mutations import TOKENS
from support.reading import read_everything
from support.seed_mail import SEEDS

MAX_OCTETS = 4096
MAX_S_PER_10_KB = 0.1
SLOWER = 5
"""Instrumented code takes several times as long."""


def check(octets: bytes) -> None:
    """One input."""
    started = time.process_time()
    read_everything(octets)
    took = time.process_time() - started
    assert took < MAX_S_PER_10_KB * SLOWER * max(len(octets) / 10_000, 1), f"{took:.2f} s"
    found = unexplained(octets)
    assert not found, (found, MessageView(octets).anomalies)


def prepare(folder: Path) -> list[str]:
    """The seeds and the dictionary in a folder, and the options that name them."""
    seeds = folder / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(SEEDS):
        (seeds / f"{number:02}").write_bytes(octets)
    words = folder / "words"
    words.write_text("".join('"' + "".join(f"\\x{octet:02x}" for octet in token) + '"\n' for token in TOKENS))
    return [f"-dict={words}", f"-max_len={MAX_OCTETS}", "-timeout=20", str(seeds)]


def main() -> None:
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    given = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    if given and given[0].is_file():
        check(given[0].read_bytes())
        return
    folder = given[0] if given else TOP / "run" / "fuzz"
    kept = folder / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    prepared = prepare(folder)
    atheris.Setup([sys.argv[0], str(kept), *prepared, f"-artifact_prefix={folder}/failed-", *options], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
