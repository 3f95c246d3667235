"""IMAP: what mail programs ask for most, beside Dovecot on mdbox and on maildir, the same messages in all; TLS on every side."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from imap_client import ImapClient
from imap_mail import messages
from measure import Report, Subject, compare

from support import dovecot as peer
from support.certificates import Authority
from support.server import PASSWORD, server

SYNCED = (
    "every server syncs what it acknowledges: Dovecot by mail_fsync = always, Mailward always (packs, then synchronous = FULL)"
)
AT_ONCE = 100
"""Messages of one command while the mailbox is filled."""
LEAST_S = 0.3
"""A cell asks so often that it takes at least as long: the kernel counts processor time by hundredths of a second."""
APPENDED = 300

THUNDERBIRD = "From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To"
READS = {
    "FETCH FLAGS": "UID FETCH 1:* (FLAGS)",
    "FETCH ENVELOPE BODYSTRUCTURE": "UID FETCH 1:* (ENVELOPE BODYSTRUCTURE)",
    "FETCH as Thunderbird lists": f"UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS ({THUNDERBIRD})])",
    "FETCH BODY[]": "UID FETCH 1:* (BODY.PEEK[])",
    "SEARCH UNSEEN": "UID SEARCH UNSEEN",
    "SEARCH SINCE": "UID SEARCH SINCE 1-Jan-2004",
    "SEARCH SUBJECT": "UID SEARCH SUBJECT imap",
    "SEARCH FROM": "UID SEARCH FROM example",
    "SEARCH TEXT": "UID SEARCH TEXT lighthouse",
    "SORT DATE": "UID SORT (DATE) UTF-8 ALL",
    "SORT SUBJECT": "UID SORT (SUBJECT) UTF-8 ALL",
    "SORT FROM": "UID SORT (FROM) UTF-8 ALL",
    "THREAD REFERENCES": "UID THREAD REFERENCES UTF-8 ALL",
}
STORES = ("UID STORE 1:* +FLAGS.SILENT (\\Flagged)", "UID STORE 1:* -FLAGS.SILENT (\\Flagged)")

Sides = dict[str, tuple[tuple[int, ...], ImapClient]]


def run(rounds: int, report: Report, count: int, cells: tuple[str, ...], formats: Sequence[str]) -> None:
    """cells: how the names begin of those that are measured; () for all. formats: of Dovecot's mailboxes."""
    report.note(SYNCED)

    def cell(name: str, count: int, work: Callable[[str, ImapClient], None]) -> None:
        if not cells or name.startswith(cells):
            _cell(report, name, sides, rounds, count, work)

    with _sides(formats) as (sides, read_for_searches):
        mail = messages(count + rounds * APPENDED)
        for _, client in sides.values():
            for start in range(0, count, AT_ONCE):
                client.command("APPEND INBOX", *mail[start : start + AT_ONCE])
        read_for_searches()
        more = {name: iter(mail[count:]) for name in sides}
        cell("APPEND, each synced, one session", APPENDED, lambda name, c: _append(c, more[name]))
        read_for_searches()
        for _, client in sides.values():
            client.command("SELECT INBOX")
        cell("SELECT", 1, lambda _, c: c.command("SELECT INBOX"))
        for name, command in READS.items():
            cell(name, count, lambda _, c, command=command: c.command(command))  # type: ignore[misc]
        cell("STORE FLAGS.SILENT, there and back", 2 * count, lambda _, c: _each(c, STORES))


def _cell(report: Report, cell: str, sides: Sides, rounds: int, count: int, work: Callable[[str, ImapClient], None]) -> None:
    """count: of what one call of `work` does. Each call is repeated until it can be measured; what is kept is warm by then."""

    def often(name: str, client: ImapClient) -> dict[str, float]:
        begun = time.perf_counter()
        for _ in range(times):
            work(name, client)
        return {"messages" if count > 1 else "times": time.perf_counter() - begun}

    times, taken = 1, []
    if cell not in ("APPEND, each synced, one session",):
        for name, (_, client) in sides.items():
            begun = time.perf_counter()
            work(name, client)
            taken.append(time.perf_counter() - begun)
        times = max(1, round(LEAST_S / min(taken)))
    subjects = [Subject(n, p, lambda n=n, c=c: often(n, c)) for n, (p, c) in sides.items()]  # type: ignore[misc]
    compare(report, cell, subjects, rounds, count * times)


def _append(client: ImapClient, mail: Iterator[bytes]) -> None:
    for _ in range(APPENDED):
        client.command("APPEND INBOX", next(mail))


def _each(client: ImapClient, commands: Sequence[str]) -> None:
    for command in commands:
        client.command(command)


@contextmanager
def _sides(formats: Sequence[str]) -> Iterator[tuple[Sides, Callable[[], object]]]:
    """read_for_searches: what Mailward else does in the background, where its processor time would count for whatever is measured."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailward-bench-")))
        folder.chmod(0o755)
        certificate = Authority(folder).issue("mail.example.test")
        ours = stack.enter_context(server())
        assert ours.process is not None
        sides: Sides = {"mailward": ((ours.process.pid,), ImapClient(ours.port("imap"), "demo@example.test", PASSWORD))}
        for mail_format in formats:
            theirs = stack.enter_context(peer.dovecot(mail_format, certificate=certificate))
            sides[f"dovecot {mail_format}"] = ((theirs.pid,), ImapClient(theirs.port, peer.USER, peer.PASSWORD))
        yield sides, lambda: ours.run("store", "index")
        for _, client in sides.values():
            client.close()
