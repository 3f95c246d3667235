"""EICAR behind broken MIME (noxxi/mime-is-broken): every reading goes to a real clamd, and other readers find nothing that ours do not.

The other readers: the standard library's two policies, fast-mail-parser, and a plain scan for base64 and quoted-printable that knows
no structure.
"""

import binascii
import contextlib
import csv
import email
import email.policy
import hashlib
import quopri
import re
from collections.abc import Callable, Iterator
from functools import cache

import fast_mail_parser
import pytest

from mailward.api import MessageView
from mailward_plugins.ambiguity.rules import observe, rivals
from mailward_plugins.antivirus.instream import scan
from mailward_plugins.antivirus.rules import ScanOutcome, scan_all
from mailward_plugins.antivirus.settings import AntivirusSettings
from mailward_plugins.antivirus.streams import PIECE_OCTETS
from support.clamd_server import ClamdServer
from support.corpora import corpus, corpus_members
from support.mail import crlf
from support.plugin_services import run_blocking

SPAM_CORPORA = ("spamassassin", "csdmc2010", "trec07p", "modern-lists")
_PAYLOAD_ID = re.compile(rb"X-Payload-Id:.*valid\((\d)\)\s+md5\((\S+)\)")


def by_stdlib(octets: bytes, policy: email.policy.Policy) -> Iterator[bytes]:
    for part in email.message_from_bytes(octets, policy=policy).walk():
        with contextlib.suppress(Exception):
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                yield content


def by_fast_mail_parser(octets: bytes) -> Iterator[bytes]:
    with contextlib.suppress(fast_mail_parser.ParseError):
        mail = fast_mail_parser.parse_email(octets)
        yield from (attachment.content for attachment in mail.attachments)
        yield from (text.encode("utf-8", "surrogateescape") for text in (*mail.text_plain, *mail.text_html))


def by_blind_scan(octets: bytes) -> Iterator[bytes]:
    """Every run of letters of base64, at each of four alignments, and all of it as quoted-printable."""
    for run in re.finditer(rb"(?:[A-Za-z0-9+/]+=*[\s]*){8,}", octets):
        letters = re.sub(rb"[^A-Za-z0-9+/]", b"", run.group())
        for start in range(4):
            kept = letters[start:]
            kept = kept[: len(kept) // 4 * 4]
            yield binascii.a2b_base64(kept)
    yield quopri.decodestring(octets)
    yield octets


READERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "compat32": lambda octets: by_stdlib(octets, email.policy.compat32),
    "default": lambda octets: by_stdlib(octets, email.policy.default),
    "fast-mail-parser": by_fast_mail_parser,
    "blind": by_blind_scan,
}


async def examined(octets: bytes, chosen: AntivirusSettings) -> ScanOutcome:
    message = MessageView(crlf(octets))
    return await scan_all(message, lambda pieces: scan(pieces, chosen), run_blocking, chosen.max_octets, chosen.max_parts)


class Clamd:
    """A real clamd that is asked about the same content once."""

    def __init__(self, server: ClamdServer) -> None:
        self.settings = AntivirusSettings(socket=server.socket_path)
        self._known: dict[bytes, bool] = {}

    async def finds(self, contents: Iterator[bytes]) -> bool:
        for content in contents:
            digest = hashlib.sha256(content).digest()
            if digest not in self._known:
                self._known[digest] = bool((await scan(self._pieces(content), self.settings)).name)
            if self._known[digest]:
                return True
        return False

    async def _pieces(self, content: bytes):  # type: ignore[no-untyped-def]
        for start in range(0, len(content), PIECE_OCTETS):
            yield content[start : start + PIECE_OCTETS]


@pytest.fixture(scope="module")
def clamd(clamd_server: ClamdServer) -> Clamd:
    return Clamd(clamd_server)


@cache
def evasions() -> dict[str, bytes]:
    return corpus_members("mime-evasion", "hide-content.d.tar.xz")


def contents(octets: bytes, *, rivals_too: bool = True) -> Iterator[bytes]:
    return (b"".join(r.chunks()) for r in MessageView(octets).readings() if rivals_too or not r.is_rival)


async def test_t_mime_98_of_100_hidden_payloads_are_in_the_union(clamd: Clamd) -> None:
    missed = [name for name, octets in evasions().items() if not await clamd.finds(contents(crlf(octets)))]
    assert len(missed) <= 0.02 * len(evasions()), missed


@pytest.mark.parametrize("reader", READERS)
async def test_t_mime_no_other_reader_finds_what_the_union_misses(clamd: Clamd, reader: str) -> None:
    missed, found = [], 0
    for name, octets in evasions().items():
        # Other readers may have had the octets before SMTP made every line end CRLF.
        if await clamd.finds(READERS[reader](crlf(octets))) or await clamd.finds(READERS[reader](octets)):
            found += 1
            if not await clamd.finds(contents(crlf(octets))):
                missed.append(name)
    assert not missed and found > 40


async def test_t_mime_what_only_others_find_is_called_ambiguous(clamd: Clamd) -> None:
    silent, hidden = [], 0
    for name, octets in evasions().items():
        message = MessageView(crlf(octets))
        if not await clamd.finds(contents(crlf(octets), rivals_too=False)) and await clamd.finds(contents(crlf(octets))):
            hidden += 1
            if not any(observation.symbol == "AMBIGUOUS_MIME" for observation in observe(message)):
                silent.append(name)
    assert not silent and hidden > 20


async def test_hidden_payloads_are_refused_by_the_plugin(clamd: Clamd) -> None:
    """All together: the whole message, streams, budgets and all. A payload id names how plain the message is: 3 is plain."""
    missed = []
    for name, octets in evasions().items():
        outcome = await examined(octets, clamd.settings)
        assert outcome.virus or not outcome.left_out
        if not outcome.virus:
            validity = _PAYLOAD_ID.search(octets)
            assert validity is None or validity[1] in (b"0", b"1"), name
            missed.append(name)
    assert len(missed) <= 0.02 * len(evasions()), missed


@pytest.mark.parametrize("archive", ["av-samples/messages.tar.xz", "mime-evasion/hide-filename.d.tar.xz"])
async def test_odd_messages_are_scanned_whole(clamd: Clamd, archive: str) -> None:
    for octets in corpus_members(*archive.split("/")).values():
        outcome = await examined(octets, clamd.settings)
        assert "ways" not in outcome.left_out and "parts" not in outcome.left_out


@pytest.mark.parametrize("name", SPAM_CORPORA)
def test_honest_mail_is_not_called_ambiguous(name: str) -> None:
    with corpus("spam", f"{name}.index.tsv").open(newline="") as index:
        labels = {row[0]: row[1] for row in csv.reader(index, delimiter="\t")}
    ham = [octets for path, octets in corpus_members("spam", f"{name}.tar.xz").items() if labels.get(path) == "ham"]
    alarms = sum(bool(rivals(MessageView(crlf(octets)).readings())) for octets in ham)
    assert len(ham) > 600 and alarms < 0.002 * len(ham)
