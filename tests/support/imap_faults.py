"""`python -m support.imap_faults FOLDER ROUNDS SEED`, faults.so preloaded: an IMAP server that is killed, or whose disk fails, beside
the oracle.

In each round a fork serves IMAP, and a client gives it random commands: APPEND, UID STORE, UID EXPUNGE, UID COPY, UID MOVE, CREATE,
DELETE, RENAME, UID FETCH. At one of its file calls, SQLite's included, the server is killed, or the call fails once or from then on
until the disk is mended. What the client was told with OK must be so afterwards, and what it was told with NO must not be; then the
server must go on. Only the command under way at a kill, or one of those that failed just before it, may have been carried out.
"""

import errno
import imaplib
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from mailward.model.ids import AccountId
from mailward.store import packs, tidy
from mailward.store.ops import Append, Copy, CreateMailbox, DeleteMailbox, Expunge, Op, RenameMailbox, SetFlags
from mailward.store.refusals import StoreRefusal
from support.faults import Action, Fault, arm
from support.imap_server import ImapServer
from support.logs import log_plainly
from support.memory_store import MemoryAccount, MemoryStore
from support.smtp_service import trusting
from support.store_kills import ops_of, state
from support.storecheck import NOW_S
from support.stores import embedded

ACCOUNT = AccountId("a1")
POINTS = {
    "": 40,
    "writev /packs/": 2,
    "fdatasync /packs/": 2,
    "pwrite /index.sqlite-wal": 20,
    "fdatasync /index.sqlite-wal": 3,
    "open /": 5,
}
"""Where faults are: at one of the first so many calls with this in its line, see `faults.arm`."""
FAILING_POINTS = {
    "writev /packs/": 2,
    "fdatasync /packs/": 2,
    "pwrite /index.sqlite-wal": 20,
    "fdatasync /index.sqlite-wal": 3,
    "open /": 5,
    "pread /packs/": 5,
    "pread /index.sqlite": 20,
}
"""The same for calls that fail."""
COMMITS = ("pwrite /index.sqlite-wal", "fdatasync /index.sqlite-wal")
"""When these fail, SQLite may leave the commit in its log, and who opens the file next takes it for done; so the server is killed
right then."""
ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
COMMANDS = 6
"""So many a round."""
_TRUSTING = trusting()
_STORE_MODES = {"add": "+FLAGS.SILENT", "remove": "-FLAGS.SILENT", "replace": "FLAGS.SILENT"}


def serve(folder: Path, orders: int, replies: int) -> None:
    """A server's life; it ends by being killed. Each order, a line of JSON, is the fault to come."""
    server = ImapServer(folder, now_s=lambda: NOW_S)
    server.store.open(ACCOUNT)
    os.write(replies, b"%d\n" % server.tls_port)
    for line in os.fdopen(orders):
        point, *fault = json.loads(line)
        arm(folder / "accounts" / ACCOUNT, Fault(*fault), name=point)
        os.write(replies, b"armed\n")


class Worker:
    """The server of one round, and a client that is logged in. Its pipes are ours."""

    def __init__(self, folder: Path) -> None:
        their_orders, orders = os.pipe()
        replies, their_replies = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(orders)
            serve(folder, their_orders, their_replies)
            os._exit(1)
        os.close(their_orders)
        os.close(their_replies)
        self._orders, self._replies = os.fdopen(orders, "w"), os.fdopen(replies)
        self.client = imaplib.IMAP4_SSL("127.0.0.1", int(self._replies.readline()), ssl_context=_TRUSTING, timeout=90)
        self.client.login("bob@example.org", 'pass "word"')

    def arm(self, point: str, fault: Fault) -> None:
        told = [point, int(fault.action), fault.at, fault.error, fault.for_good]
        print(json.dumps(told), file=self._orders, flush=True)
        assert self._replies.readline() == "armed\n"

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
        self._orders.close()
        self._replies.close()


class Refused(Exception):
    """NO, or BAD, which nothing here deserves. The text of it."""


def _need_ok(answer: tuple[str, Sequence[object]]) -> Sequence[object]:
    if answer[0] != "OK":
        raise Refused(f"{answer[0]} {answer[1]!r}")
    return answer[1]


def _quoted(name: str) -> str:
    return f'"{name}"'


def commands_of(ops: Sequence[Op]) -> list[Op]:
    """What IMAP has a command for, one by one."""
    found: list[Op] = []
    for op in ops:
        match op:
            case Append():
                found.append(replace(op, delivery_key=None))
            case Expunge():
                found += [SetFlags(op.mailbox, op.uids, "add", ("\\Deleted",)), op]
            case _:
                found.append(op)
    return [op for op in found if not isinstance(op, SetFlags | Expunge | Copy) or op.uids]


def send(client: imaplib.IMAP4, op: Op, oracle: MemoryAccount) -> None:
    """The op as a command. Raises Refused."""
    names = {info.id: info.name for info in oracle.mailboxes()}
    match op:
        case CreateMailbox():
            _need_ok(client.create(_quoted(op.name)))
        case DeleteMailbox():
            if client.state == "SELECTED":  # whose mailbox is deleted is shown out
                _need_ok(client.unselect())
            _need_ok(client.delete(_quoted(op.name)))
        case RenameMailbox():
            _need_ok(client.rename(_quoted(op.name), _quoted(op.new_name)))
        case Append():
            date = f'"{op.internal_date:%d-%b-%Y %H:%M:%S +0000}"'
            _need_ok(client.append(_quoted(names[op.mailbox]), f"({' '.join(op.flags)})", date, op.octets))
        case SetFlags() | Expunge() | Copy():
            _need_ok(client.select(_quoted(names[op.mailbox])))
            uids = ",".join(map(str, op.uids))
            if isinstance(op, SetFlags):
                _need_ok(client.uid("STORE", uids, _STORE_MODES[op.mode], f"({' '.join(op.flags)})"))
            elif isinstance(op, Expunge):
                _need_ok(client.uid("EXPUNGE", uids))
            else:
                _need_ok(client.uid("MOVE" if op.move else "COPY", uids, _quoted(names[op.target])))
        case _:
            raise AssertionError(op)


def read(client: imaplib.IMAP4, oracle: MemoryAccount, name: str) -> None:
    """A whole mailbox is read and is what the oracle has. Raises Refused."""
    _need_ok(client.select(_quoted(name)))
    view = oracle.view(oracle.mailbox(name).id)
    found = [part[1] for part in _need_ok(client.uid("FETCH", "1:*", "(BODY.PEEK[])")) if isinstance(part, tuple)]
    expected = [oracle.read(message) for message in view.messages]
    assert found == expected, (name, [*map(len, found)], [*map(len, expected)])


class Round:
    """One life of a server. told: how commands ended, "OK", or "failed" where the disk did."""

    def __init__(self, folder: Path, oracle: MemoryAccount, randomness: random.Random) -> None:
        self._oracle = oracle
        self._randomness = randomness
        self._worker = Worker(folder)
        self.told: Counter[str] = Counter()
        self.doubtful: list[Op] = []
        """Under way at a kill, or failed since the last that ended with OK."""

    def live(self, point: str, fault: Fault) -> bool:
        """Whether it was killed."""
        self._worker.arm(point, fault)
        try:
            self._work(COMMANDS, ends_at_failure=point in COMMITS)
            if fault.action is Action.FAIL and point not in COMMITS:
                self._worker.arm("", Fault())
                failed = self.told["failed"]
                self._work(3)
                assert self.told["failed"] == failed, "it does not recover"
        except (imaplib.IMAP4.abort, OSError):
            assert fault.action in (Action.KILL, Action.TEAR), "the server left its client"
            return True
        finally:
            self._worker.end()
        return False

    def _work(self, commands: int, *, ends_at_failure: bool = False) -> None:
        client, oracle = self._worker.client, self._oracle
        for _ in range(commands):
            for op in commands_of(ops_of(self._randomness, oracle)[:1]):
                if not self._try(op):
                    break  # what was not marked as deleted is not expunged
            if ends_at_failure and self.told["failed"]:
                return
            try:
                read(client, oracle, self._randomness.choice(oracle.mailboxes()).name)
            except Refused as refused:
                self._failed(refused)

    def _try(self, op: Op) -> bool:
        """One command, which the oracle carries out when it is answered with OK, and would refuse when it is refused. Whether the
        disk did not fail it."""
        self.doubtful.append(op)
        try:
            send(self._worker.client, op, self._oracle)
        except Refused as refused:
            if _is_of_the_disk(refused):
                self._failed(refused)
                return False
            assert _is_refused(self._oracle, op), (op, refused)
            self.doubtful.pop()
        else:
            self._oracle.apply([op])
            self.told["OK"] += 1
            self.doubtful.clear()
        return True

    def _failed(self, refused: Refused) -> None:
        assert _is_of_the_disk(refused), refused
        self.told["failed"] += 1


def _is_of_the_disk(refused: Refused) -> bool:
    """Trying again helps, or a page that could not be read was taken for a damaged one, or some of the messages were not read."""
    codes = ("NO [b'[UNAVAILABLE]", "NO [b'[CORRUPTION]", "NO [b'[SERVERBUG] ")
    return str(refused).startswith(codes[:2]) or (str(refused).startswith(codes[2]) and "could not be read" in str(refused))


def _is_refused(oracle: MemoryAccount, op: Op) -> bool:
    try:
        oracle.apply([op])
    except StoreRefusal:
        return True
    return False


def _is_after(oracle: MemoryAccount, op: Op, found: Sequence[object]) -> bool:
    """Whether the op leads to what was found; then it is carried out."""
    before = oracle._state
    if _is_refused(oracle, op):
        return False
    if found != state(oracle):
        oracle._state = before
        return False
    return True


def main(folder: Path, rounds: int, seed: int) -> None:
    """Prints a line of JSON: commands that ended with OK, commands that the disk failed, and at which points servers died."""
    packs._FULL_OCTETS = 10_000
    tidy._EVERY_S = 0
    log_plainly(sys.stderr)
    randomness = random.Random(seed)
    oracle = MemoryStore(now_s=lambda: NOW_S).open(ACCOUNT)
    told: Counter[str] = Counter()
    died: Counter[str] = Counter()
    kills, failures = cycle(POINTS.items()), cycle(FAILING_POINTS.items())
    for number in range(rounds):
        kind, for_good = number % 2, randomness.random() < 0.5
        point, most = next(failures if kind else kills)
        action = Action.FAIL if kind else randomness.choice([Action.KILL, Action.TEAR])
        life = Round(folder, oracle, randomness)
        died[point] += life.live(point, Fault(action, randomness.randint(1, most), ERRORS[number % len(ERRORS)], for_good))
        told += life.told
        store = embedded(folder / "accounts")
        found = state(store.open(ACCOUNT))
        store.close()
        assert found == state(oracle) or any(_is_after(oracle, op, found) for op in life.doubtful), (
            [(a, b) for a, b in zip(found, state(oracle), strict=False) if a != b],
            life.doubtful,
        )
    print(json.dumps({"told": told, "died": died}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
