"""How long does it take to read a message? The index beside the standard library, fast-mail-parser and a mere search.

"index" is what every reader stands on: the fields and the whole tree, walked, with the facts about lines that reception hands
in. Readers on top are lines of their own. CPU time, medians of rounds in which all take turns.
"""

import statistics
import time
from collections.abc import Callable
from email.parser import BytesParser
from email.policy import compat32

import fast_mail_parser

from mailward.formats import imap as imap_data
from mailward.formats.lines import LineFacts, line_facts
from mailward.formats.message import MessageView
from support.hostile_mail import HOSTILE
from support.sample_mail import mixed, plain

SIZES = {"2 kB": 2_000, "50 kB": 50_000, "1 MB": 1_000_000, "25 MB": 25_000_000}
HOSTILE_SIZES = ("50 kB", "1 MB", "25 MB")
MESSAGES = {"plain": plain, "mixed": mixed}
CELL_S = 0.01
"""A cell is repeated until it takes this long, so that the clock does not count."""

Work = Callable[[bytes, LineFacts], object]


def index(octets: bytes, lines: LineFacts) -> object:
    """The fields and the tree, every part visited."""
    view = MessageView(octets, lines)
    return view.fields, sum(part.end for part in view.root.walk())


def _stdlib(octets: bytes, lines: LineFacts) -> object:
    return sum(1 for _ in BytesParser(policy=compat32).parsebytes(octets).walk())


def _fast_mail_parser(octets: bytes, lines: LineFacts) -> object:
    return sum(1 for _ in fast_mail_parser.walk(fast_mail_parser.parse_email_tree(octets, mode="metadata")))


def _find(octets: bytes, lines: LineFacts) -> object:
    """Every line that begins with two hyphens: no reader of MIME can look for less."""
    found, count = octets.find(b"\n--"), 0
    while found >= 0:
        found, count = octets.find(b"\n--", found + 1), count + 1
    return count


def _contents(octets: bytes, lines: LineFacts) -> object:
    return sum(len(part.decode()) for part in MessageView(octets, lines).parts())


READERS: dict[str, Work] = {
    "index": index,
    "index, anomalies": lambda octets, lines: MessageView(octets, lines).anomalies,
    "index, subject and addresses": lambda octets, lines: (
        (view := MessageView(octets, lines)).subject,
        view.authors,
        view.recipients_in_header,
    ),
    "index, ENVELOPE, BODYSTRUCTURE": lambda octets, lines: (
        imap_data.envelope(view := MessageView(octets, lines)),
        imap_data.bodystructure(view),
    ),
    "index, texts": lambda octets, lines: [part.text for part in MessageView(octets, lines).texts()],
    "index, attachment types": lambda octets, lines: MessageView(octets, lines).attachment_types,
    "index, contents decoded": _contents,
}


def _seconds(work: Work, octets: bytes, lines: LineFacts, times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        work(octets, lines)
    return (time.process_time() - started) / times


def medians(cells: dict[str, tuple[Work, bytes]], rounds: int) -> dict[str, float]:
    """Seconds of each cell, measured in turns."""
    facts = {octets: line_facts(octets) for _, octets in cells.values()}
    # The first run of each warms caches and says how often it must be repeated.
    times = {
        name: max(1, min(1000, round(CELL_S / max(_seconds(*cell, facts[cell[1]], 1), 1e-6)))) for name, cell in cells.items()
    }
    taken: dict[str, list[float]] = {name: [] for name in cells}
    for _ in range(rounds):
        for name, (work, octets) in cells.items():
            taken[name].append(_seconds(work, octets, facts[octets], times[name]))
    return {name: statistics.median(values) for name, values in taken.items()}


def _beside_others(rounds: int) -> None:
    print("  index, ms, and how many times as long the others take")
    print(f"  {'message':<16}{'index':>10}{'stdlib compat32':>24}{'fast-mail-parser':>24}{'bytes.find':>24}")
    for kind, make in MESSAGES.items():
        for label, size in SIZES.items():
            octets = make(size)
            works: dict[str, Work] = {"index": index, "stdlib": _stdlib, "fmp": _fast_mail_parser, "find": _find}
            took = medians({name: (work, octets) for name, work in works.items()}, rounds)
            cells = [f"{took[name] * 1000:>13.3f} ({took[name] / took['index']:>7.2f})" for name in ("stdlib", "fmp", "find")]
            print(f"  {kind + ' ' + label:<16}{took['index'] * 1000:>10.3f}" + "".join(f"{cell:>24}" for cell in cells))


def _readers(rounds: int) -> None:
    print("\n  readers on top, ms")
    messages = {f"{kind} {label}": make(SIZES[label]) for kind, make in MESSAGES.items() for label in ("50 kB", "1 MB")}
    print(f"  {'':<34}" + "".join(f"{name:>14}" for name in messages))
    for reader, work in READERS.items():
        took = medians({name: (work, octets) for name, octets in messages.items()}, rounds)
        print(f"  {reader:<34}" + "".join(f"{took[name] * 1000:>14.3f}" for name in messages))


def hostile(rounds: int, only: str = "") -> None:
    """Each hostile message beside a plain and a mixed one of its size: the index, and the index with its anomalies."""
    print("\n  hostile messages: ms (times as long as plain, as mixed of the same size), index and then anomalies")
    print(
        f"  {'message':<42}" + "".join(f"{label + suffix:>26}" for label in HOSTILE_SIZES for suffix in (" index", " anomalies"))
    )
    works = {"index": index, "anomalies": READERS["index, anomalies"]}
    usual = {
        label: medians(
            {f"{kind} {which}": (works[kind], make(SIZES[label])) for kind in works for which, make in MESSAGES.items()}, rounds
        )
        for label in HOSTILE_SIZES
    }
    worst: dict[str, tuple[float, str]] = {}
    for name, make in HOSTILE.items():
        if only not in name:
            continue
        line = f"  {name:<42}"
        for label in HOSTILE_SIZES:
            octets = make(SIZES[label])
            for kind, took in medians({kind: (work, octets) for kind, work in works.items()}, rounds).items():
                ratios = [took / usual[label][f"{kind} {which}"] for which in MESSAGES]
                line += f"{took * 1000:>12.3f} ({', '.join(f'{ratio:>5.1f}' for ratio in ratios)})"
                worst[f"{kind} {label}"] = max(worst.get(f"{kind} {label}", (0.0, "")), (ratios[-1], name))
        print(line, flush=True)
    for cell, (ratio, name) in worst.items():
        print(f"  worst of {cell:<18}{ratio:>10.2f} times mixed: {name}")


def run(rounds: int) -> None:
    _beside_others(rounds)
    _readers(rounds)
    hostile(rounds)
