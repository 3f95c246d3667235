"""`python -m support.store_kills FOLDER KILLS SEED`, faults.so preloaded: one account whose writers are killed again and again.

A writer is a fork that carries out random lists of ops: APPEND and delivery, STORE, EXPUNGE, COPY, MOVE, mailboxes made, renamed and
deleted; packs are small and every list is followed by a round of tidying without grace, so that compaction is always under way. It
notes each list before it begins, and when it was acknowledged. Half of the writers die at a file call of their own or of SQLite's,
or when half of what it writes is written; half are killed from outside. After each the store must be what the oracle has after all
acknowledged lists, or after the one under way too: UIDs, MODSEQs, deltas, delivery keys and octets alike.
"""

import base64
import json
import os
import pickle
import random
import select
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from mailward.model.ids import MailboxId, Uid
from mailward.store import packs, tidy
from mailward.store.base import AccountStore, MailboxInfo
from mailward.store.ops import Append, Copy, CreateMailbox, DeleteMailbox, Expunge, Op, RenameMailbox, SetFlags
from mailward.store.refusals import StoreRefusal
from support.faults import Action, Fault, arm
from support.memory_store import MemoryAccount, MemoryStore
from support.storecheck import FLAGS, NOW_S, RECEIVED_AT, entries_of
from support.stores import ALICE, embedded

NAMES = ("a", "a/b", "b", "c")
KEYS = tuple(f"q{number}:0" for number in range(300))
POINTS = {
    "": 200,
    "writev /packs/": 5,
    "fdatasync /packs/": 5,
    "unlink /packs/": 1,
    "fdatasync /index.sqlite-wal": 8,
    "pwrite /index.sqlite\n": 10,
}
"""Where writers die: at one of the first so many calls with this in its line, see `faults.arm`. The last is SQLite's checkpoint."""
MOST_MESSAGES = 12
"""A mailbox with more has some expunged."""


def ops_of(randomness: random.Random, store: AccountStore) -> list[Op]:
    """A list that some client could have asked for."""
    infos = store.mailboxes()
    return [_op(randomness, store, randomness.choice(infos), infos) for _ in range(randomness.randint(1, 3))]


def _op(randomness: random.Random, store: AccountStore, box: MailboxInfo, infos: Sequence[MailboxInfo]) -> Op:
    uids = tuple(map(Uid, sorted(randomness.sample([*store.view(box.id).uids], min(box.exists, 5)))))
    flags = tuple(randomness.sample(FLAGS, 2))
    if box.exists > MOST_MESSAGES:
        return Expunge(box.id, tuple(map(Uid, store.view(box.id).uids[: MOST_MESSAGES // 2])))
    kind = randomness.randrange(12)
    if kind < 5:
        octets = b"Subject: %d\r\n\r\n" % randomness.randrange(10**9) + b"x" * randomness.randrange(3000)
        key = randomness.choice(KEYS) if kind < 2 else None
        return Append(box.id, octets, RECEIVED_AT, flags, key)
    if kind == 5:
        return SetFlags(box.id, uids, randomness.choice(["add", "remove", "replace"]), flags)
    if kind < 8:
        return Expunge(box.id, uids)
    if kind < 10:
        return Copy(box.id, uids, MailboxId(randomness.choice(infos).id), move=kind == 9)
    name, other = randomness.sample(NAMES, 2)
    of_mailboxes: list[Op] = [CreateMailbox(name), DeleteMailbox(name), RenameMailbox(name, other)]
    return randomness.choice(of_mailboxes)


def write(folder: Path, log: int, seed: int, point: str, fault: Fault) -> None:
    """A writer's life; it ends by being killed."""
    arm(folder / ALICE, fault, name=point)
    store = embedded(folder, expunged_kept_s=-1).open(ALICE)
    randomness = random.Random(seed)
    while True:
        ops = ops_of(randomness, store)
        os.write(log, b"begun " + base64.b64encode(pickle.dumps(ops)) + b"\n")
        try:
            store.apply(ops)
            os.write(log, b"done\n")
        except StoreRefusal:
            os.write(log, b"refused\n")
        if not randomness.randrange(8):
            store.rest()


def state(store: AccountStore) -> list[object]:
    """All that clients see."""
    found: list[object] = []
    for info in store.mailboxes():
        view = store.view(info.id)
        texts = [bytes(octets) if not isinstance(octets, Exception) else octets for octets in store.bodies(view.messages)]
        emails = [*store.entry_meta(info.id, view.uids, ("email",))]
        deltas = [store.delta(info.id, since) for since in (0, info.highest_modseq // 2, max(0, info.highest_modseq - 3))]
        changes = [(entries_of(delta), delta.gone, delta.passed) for delta in deltas]
        found.append((info, entries_of(view), texts, emails, changes))
    return [*found, store.known(KEYS), store.quota()]


def told(found: Sequence[object], wanted: Sequence[object]) -> str:
    """What differs, in words."""
    lines = [f"{len(found)} parts, {len(wanted)} wanted"] if len(found) != len(wanted) else []
    for one, other in zip(found, wanted, strict=False):
        if one != other and isinstance(one, tuple) and isinstance(other, tuple):
            lines += [f"{one[0]}: {a!r:.3000}\n  not {b!r:.3000}" for a, b in zip(one, other, strict=True) if a != b]
        elif one != other:
            lines.append(f"{one!r:.3000}\n  not {other!r:.3000}")
    return "\n".join(lines)


def follow(oracle: MemoryAccount, lines: Sequence[bytes]) -> list[MemoryAccount]:
    """What there may be by now: with all that was acknowledged, and with the list that was under way, too, if it can be.

    Nothing where what was acknowledged cannot have been done.
    """
    under_way: list[Op] = []
    try:
        for line in lines:
            word, _, rest = line.partition(b" ")
            if word == b"begun":
                under_way = pickle.loads(base64.b64decode(rest))
                continue
            if word == b"done":
                oracle.apply(under_way)
            under_way = []
    except StoreRefusal:
        return []
    with suppress(StoreRefusal):
        return [oracle, oracle.would_be(under_way)]
    return [oracle]


def those_like(found: Sequence[object], possible: Sequence[MemoryAccount]) -> list[MemoryAccount]:
    """What may be behind what was found. A list may leave nothing to be seen, a mailbox made and deleted for one, and yet have taken
    numbers: then it may have been carried out or not, and what comes later tells."""
    alike: list[MemoryAccount] = []
    for one in possible:
        if state(one) == found and not any(one.is_like(other) for other in alike):
            alike.append(one)
    return alike


def main(folder: Path, kills: int, seed: int) -> None:
    """Prints a line of JSON: how many lists were acknowledged, how many under way had been carried out all the same, how many
    writers died at each of POINTS."""
    packs._FULL_OCTETS = 10_000
    tidy._EVERY_S = 0
    randomness = random.Random(seed)
    oracles = [MemoryStore(now_s=lambda: NOW_S).open(ALICE)]
    store = embedded(folder, expunged_kept_s=-1)
    store.open(ALICE)
    store.close()
    acknowledged = carried_out = 0
    died: Counter[str] = Counter()
    points = cycle(POINTS.items())
    for number in range(kills):
        log_path = folder / "log"
        log = os.open(log_path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        action = (Action.COUNT, randomness.choice([Action.KILL, Action.TEAR]))[number % 2]
        point, most = next(points) if number % 2 else ("", 1)
        child = os.fork()
        if child == 0:
            write(folder, log, randomness.randrange(10**9), point, Fault(action, randomness.randint(1, most)))
            os._exit(1)
        if action is Action.COUNT:
            select.select([], [], [], randomness.random() / 25)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
        os.close(log)
        died[point] += action is not Action.COUNT
        lines = log_path.read_bytes().split(b"\n")[:-1]  # a kill may cut the last line
        acknowledged += sum(line == b"done" for line in lines)
        store = embedded(folder, expunged_kept_s=-1)
        found = state(store.open(ALICE))
        possible = [follow(oracle, lines) for oracle in oracles]
        oracles = those_like(found, [one for some in possible for one in some])
        for oracle in oracles:
            oracle.drop_expunged()  # else the model, which copies all it has for each list, takes ever longer
        without = [some[0] for some in possible if some]
        carried_out += not any(one is other for one in oracles for other in without)
        if not oracles:
            last = [pickle.loads(base64.b64decode(line[6:])) for line in lines if line.startswith(b"begun ")][-1:]
            wanted = [told(found, state(one)) for some in possible for one in some]
            raise SystemExit(f"after kill {number} ({action.name} {point!r}), with {last} last:\n" + "\nor beside\n".join(wanted))
        store.close()
    print(json.dumps({"acknowledged": acknowledged, "carried_out": carried_out, "died": died}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
