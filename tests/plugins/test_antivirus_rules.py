"""The antivirus plugin against a real clamd, and against servers that answer as clamd never should."""

import asyncio
import socket
import time
import zipfile
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import clamd
import pytest

from mailward.api import MessageView
from mailward.testing import FakeServices, Scan, make_message
from mailward_plugins import antivirus
from mailward_plugins.antivirus import _finding
from mailward_plugins.antivirus.instream import ScanReply, parse_reply, scan
from mailward_plugins.antivirus.rules import ScanOutcome, scan_all
from mailward_plugins.antivirus.settings import AntivirusFacts, AntivirusSettings
from mailward_plugins.antivirus.streams import PIECE_OCTETS, Feed, streams_of
from support.clamd_server import EICAR, STREAM_LIMIT_OCTETS, ClamdServer
from support.plugin_services import run_blocking

QUICK = AntivirusSettings(connect_limit=timedelta(seconds=1), idle_limit=timedelta(seconds=1), reply_limit=timedelta(seconds=0.3))


def part(content_type: str, body: bytes, *fields: str) -> bytes:
    head = "".join(f"{field}\r\n" for field in (f"Content-Type: {content_type}", *fields))
    return head.encode() + b"\r\n" + body


def base64_part(octets: bytes, content_type: str = "application/octet-stream") -> bytes:
    text = b64encode(octets)
    lines = b"".join(text[start : start + 76] + b"\r\n" for start in range(0, len(text), 76))
    return part(content_type, lines, "Content-Transfer-Encoding: base64")


def multipart(*parts: bytes) -> bytes:
    boundary = f"b{abs(hash(parts)):x}"
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + one + b"\r\n" for one in parts) + b"--" + boundary.encode() + b"--\r\n"
    return part(f"multipart/mixed; boundary={boundary}", body)


def mail(root: bytes) -> bytes:
    return b"From: a@example.net\r\nTo: b@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n" + root


def zipped(octets: bytes) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", octets)
    return out.getvalue()


def settings(server: ClamdServer, **changes: object) -> AntivirusSettings:
    return AntivirusSettings(socket=server.socket_path, **changes)  # type: ignore[arg-type]


async def examine(message: bytes, chosen: AntivirusSettings) -> ScanOutcome:
    view = MessageView(message)
    return await scan_all(view, lambda pieces: scan(pieces, chosen), run_blocking, chosen.max_octets, chosen.max_parts)


async def pieces_of(octets: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(octets), PIECE_OCTETS):
        yield octets[start : start + PIECE_OCTETS]


TEXT = part("text/plain", b"hello\r\n")
CARRIERS = {
    "plain": part("text/plain", EICAR + b"\r\n"),
    "base64": multipart(TEXT, base64_part(EICAR)),
    "quoted-printable": part("text/plain", EICAR.replace(b"=", b"=3D"), "Content-Transfer-Encoding: quoted-printable"),
    "zip": multipart(TEXT, base64_part(zipped(EICAR), "application/zip")),
    "zip in zip": multipart(TEXT, base64_part(zipped(zipped(EICAR)), "application/zip")),
    "nested": multipart(TEXT, multipart(TEXT, multipart(base64_part(EICAR)))),
    "attached message": multipart(TEXT, part("message/rfc822", mail(multipart(TEXT, base64_part(EICAR))))),
    "attached twice": multipart(part("message/rfc822", mail(part("message/rfc822", mail(multipart(base64_part(EICAR))))))),
}


@pytest.mark.parametrize("name", CARRIERS)
async def test_t_av_01_eicar_is_found_wherever_it_hides(clamd_server: ClamdServer, name: str) -> None:
    assert (await examine(mail(CARRIERS[name]), settings(clamd_server))).virus == "Test.Eicar.UNOFFICIAL"


async def test_clean_mail_is_clean_over_both_kinds_of_socket(clamd_server: ClamdServer) -> None:
    for socket_name in (clamd_server.socket_path, clamd_server.address):
        chosen = AntivirusSettings(socket=socket_name)
        assert await examine(mail(multipart(TEXT, base64_part(b"\0" * 300_000))), chosen) == ScanOutcome()
        assert (await examine(mail(CARRIERS["base64"]), chosen)).virus


async def test_t_av_02_encrypted_archives_are_reported(clamd_server: ClamdServer) -> None:
    archive = bytearray(zipped(b"secret"))
    for signature, flag_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.index(signature) + flag_at] |= 1  # the flag "encrypted" in the local and the central header
    outcome = await examine(mail(multipart(TEXT, base64_part(bytes(archive), "application/zip"))), settings(clamd_server))
    assert outcome.encrypted.startswith("Heuristics.Encrypted") and not outcome.virus
    assert _finding(outcome).asks == "quarantine"


@pytest.mark.parametrize("size_octets", [STREAM_LIMIT_OCTETS + 1, 5 * STREAM_LIMIT_OCTETS])
async def test_t_av_10_beyond_clamds_limit_is_not_scanned_never_clean(clamd_server: ClamdServer, size_octets: int) -> None:
    for socket_name in (clamd_server.socket_path, clamd_server.address):
        assert await scan(pieces_of(b"x" * size_octets), AntivirusSettings(socket=socket_name)) == ScanReply(is_complete=False)


async def test_t_av_11_our_own_limits_are_partial_and_small_parts_still_scanned(clamd_server: ClamdServer) -> None:
    big = mail(multipart(TEXT, part("text/plain", b"x" * 5000), base64_part(EICAR)))
    assert (await examine(big, settings(clamd_server, max_octets=2000))).virus
    outcome = await examine(mail(multipart(TEXT, part("text/plain", b"x" * 5000))), settings(clamd_server, max_octets=2000))
    assert "1 parts" in outcome.left_out and _finding(outcome).symbol == "AV_PARTIAL"
    many = mail(multipart(*(part("text/plain", f"number {number}".encode()) for number in range(300))))
    assert "parts" in (await examine(many, settings(clamd_server, max_parts=50))).left_out


async def test_nothing_is_scanned_twice() -> None:
    view = MessageView(mail(multipart(*[base64_part(b"same" * 1000)] * 150)))
    feed = Feed(run_blocking, 25_000_000)
    opened = [await feed.open(stream) for stream in streams_of(view)]
    assert len([pieces for pieces in opened if pieces is not None]) == 2


async def test_what_is_scanned_is_bounded_in_time() -> None:
    async def clean(pieces: AsyncIterator[bytes]) -> ScanReply:
        async for _ in pieces:
            pass
        return ScanReply()

    started = time.monotonic()
    for body in (b"QUJD\r\n" * 200_000, b"word " * 200_000, b"--x\r\n\r\n" * 100_000):
        await scan_all(MessageView(mail(TEXT + body)), clean, run_blocking, 25_000_000, 500)
    assert time.monotonic() - started < 10


async def test_a_big_attachment_is_never_held_whole() -> None:
    largest = 0

    async def measure(pieces: AsyncIterator[bytes]) -> ScanReply:
        nonlocal largest
        async for piece in pieces:
            largest = max(largest, len(piece))
        return ScanReply()

    big = mail(multipart(TEXT, base64_part(b"0123456789" * 1_000_000)))
    outcome = await scan_all(MessageView(big), measure, run_blocking, 25_000_000, 500)
    assert not outcome.left_out and PIECE_OCTETS <= largest <= 2 * PIECE_OCTETS


async def test_concurrent_scans_do_not_mix(clamd_server: ClamdServer) -> None:
    chosen = settings(clamd_server)
    messages = [mail(CARRIERS["base64"] if number % 3 == 0 else base64_part(f"{number}".encode() * 50)) for number in range(60)]
    outcomes = await asyncio.gather(*(examine(message, chosen) for message in messages))
    assert [bool(outcome.virus) for outcome in outcomes] == [number % 3 == 0 for number in range(60)]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\0",
        b"stream: OK",
        b"stream: OK\n",
        b"stream: x OK\0",
        b"stream: OK\0stream: Evil FOUND\0",
        b"stream: FOUND\0",
        b"other: OK\0",
        b"stream: a: b FOUND\0",
        b"stream: Can't allocate memory ERROR\0",
        b"UNKNOWN COMMAND\0",
        b"x" * 10_000 + b"\0",
    ],
)
def test_t_av_10_only_exact_answers_count(reply: bytes) -> None:
    with pytest.raises(clamd.ResponseError):
        parse_reply(reply)


def test_names_are_printable_and_short() -> None:
    assert parse_reply(b"stream: Win.Test-1\xff\r\n250 OK FOUND\0".replace(b"\n", b"")).name == "Win.Test-1??250?OK"
    assert len(parse_reply(b"stream: " + b"n" * 3000 + b" FOUND\0").name) == 100


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def fake_clamd(folder: Path, handler: Handler) -> AsyncIterator[AntivirusSettings]:
    path = str(folder / "clamd.ctl")
    server = await asyncio.start_unix_server(handler, path)
    try:
        yield replace(QUICK, socket=path)
    finally:
        server.close()


async def test_t_av_10_a_clamd_that_dies_or_sleeps_is_an_error(tmp_path: Path) -> None:
    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)
        writer.transport.abort()

    async def sleeps(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    for handler in (dies, sleeps, deaf):
        async with fake_clamd(tmp_path, handler) as chosen:
            started = time.monotonic()
            with pytest.raises(clamd.ClamdError):
                await scan(pieces_of(b"x" * 3_000_000), chosen)
            assert time.monotonic() - started < 20


async def test_no_clamd_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for name in (str(tmp_path / "none.ctl"), f"127.0.0.1:{port}", f"[::1]:{port}", "nonsense", "host.example:3310"):
        with pytest.raises(clamd.ConnectionError):
            await scan(pieces_of(b"x"), replace(QUICK, socket=name))


async def test_a_full_backlog_ends_at_the_connect_limit(tmp_path: Path) -> None:
    path = str(tmp_path / "full.ctl")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        started = time.monotonic()
        results = await asyncio.gather(
            *(scan(pieces_of(b"x"), replace(QUICK, socket=path)) for _ in range(4)), return_exceptions=True
        )
    assert all(isinstance(result, clamd.ClamdError) for result in results) and time.monotonic() - started < 20


async def test_findings_in_the_words_of_the_policy() -> None:
    found = _finding(ScanOutcome("Win.Test"))
    assert (found.symbol, found.asks, found.text) == ("VIRUS_FOUND", "reject", "This message carries Win.Test")
    assert found.facts == AntivirusFacts(infected=True, name="Win.Test")
    clean = _finding(ScanOutcome())
    assert (clean.symbol, clean.text, clean.facts) == (None, "clean", AntivirusFacts())


async def test_heuristics_about_limits_are_no_virus() -> None:
    async def answer(pieces: AsyncIterator[bytes]) -> ScanReply:
        return ScanReply("Heuristics.Limits.Exceeded.MaxFileSize")

    outcome = await scan_all(MessageView(mail(TEXT)), answer, run_blocking, 1000, 10)
    assert not outcome.virus and "limits" in outcome.left_out


def test_as_many_scans_at_once_as_the_policy_says_also_after_a_reload_that_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scanning = most = 0

    async def counted(pieces: AsyncIterator[bytes], settings: AntivirusSettings) -> ScanReply:
        nonlocal scanning, most
        scanning += 1
        most = max(most, scanning)
        await asyncio.sleep(0)
        scanning -= 1
        return ScanReply()

    async def most_at_once(connections: int) -> int:
        nonlocal most
        most = 0
        settings = AntivirusSettings(connections=connections)
        await asyncio.gather(
            *(antivirus.inspect_message(make_message(), settings, FakeServices().of("antivirus")) for _ in range(9))
        )
        return most

    async def before_and_after() -> list[int]:
        return [await most_at_once(connections) for connections in (2, 5, 2)]

    monkeypatch.setattr(antivirus, "scan", counted)
    assert asyncio.run(before_and_after()) == [2, 5, 2]


def test_what_was_scanned_is_counted_by_what_was_found(scan: Scan, fake_services: FakeServices) -> None:
    test_file = {"antivirus": {"engine": "test-file"}}
    for mail_of in [TEXT, TEXT, base64_part(EICAR)]:
        scan(mail(mail_of), plugins=["antivirus"], settings=test_file)
    metrics = fake_services.metrics["antivirus"]
    assert metrics.numbers == {("scans", "clean"): 2, ("scans", "infected"): 1} and len(metrics.observed["scan_seconds",]) == 3
