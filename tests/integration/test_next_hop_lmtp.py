"""Our queue process delivers by LMTP: to a real Dovecot, by TCP and by its socket, and to servers that do it wrong."""

import imaplib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailward.delivery.static_hop import StaticHop
from mailward.model.tls import TlsLevel
from mailward.net.connect import SmtpConnector
from support.dovecot import FULL, PASSWORD, USER, Dovecot, dovecot
from support.relayed import QUIET
from support.relaying import SENDER, SHORT, Office
from support.server import server
from support.smtp_peer import CLOSE, Answer, peer
from support.smtp_service import throw_away_certificate

HEAD = (
    b"From: mx@sender.invalid\r\nTo: demo@example.test\r\nSubject: x\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
    b"Message-ID: <x@sender.invalid>\r\n\r\n"
)
BODIES = {
    "dots": b".\r\n..\r\n...x\r\n.\r\n",
    "eight bit": "über\r\n".encode(),
    "long line": b"x" * 998 + b"\r\n",
    "empty lines at the end": b"x\r\n\r\n\r\n",
    "two megabytes": (b"0123456789" * 7 + b"\r\n") * 29_000,
}
NOBODY = "nobody@example.test"


@pytest.fixture(scope="module")
def store() -> Iterator[Dovecot]:
    with dovecot("maildir", lmtp=True) as made:
        yield made


@pytest.fixture(params=["tcp", "unix"])
def way(request: pytest.FixtureRequest, store: Dovecot) -> StaticHop:
    if request.param == "unix":
        return StaticHop(str(store.lmtp_socket), 0, is_lmtp=True)
    return StaticHop("127.0.0.1", store.lmtp_port, is_lmtp=True)


def mailbox(store: Dovecot) -> list[bytes]:
    with imaplib.IMAP4("127.0.0.1", store.port) as client:
        client.login(USER, PASSWORD)
        client.select()
        _, found = client.fetch("1:*", "(BODY.PEEK[])")
    return [one[1] for one in found if isinstance(one, tuple)]


async def test_messages_are_in_the_mailbox_octet_for_octet(store: Dovecot, way: StaticHop, tmp_path: Path) -> None:
    made = Office(tmp_path, {"example.test": way}, connector=SmtpConnector("mail.example.org"))
    try:
        head = b"X-Way: " + str(way).encode() + b"\r\n" + HEAD
        items = [await made.post(USER, octets=head + body, sender="") for body in BODIES.values()]
        await made.work()
        assert all(made.open(item) == {} for item in items), [made.events(item) for item in items]
        sessions = [session for attempt in made.attempts for session in attempt.sessions]
        assert bool(sessions) is not way.is_socket  # what never leaves the machine is not in the history of TLS
    finally:
        await made.close()
    arrived = mailbox(store)
    for (name, body), item in zip(BODIES.items(), items, strict=True):
        expected = b"X-Signed: yes\r\n" + item.trace.encode() + head + body
        assert len([found for found in arrived if found.endswith(expected)]) == 1, name


async def test_a_full_mailbox_and_one_that_is_not_there_are_nobody_elses_trouble(way: StaticHop, tmp_path: Path) -> None:
    made = Office(tmp_path, {"example.test": way}, connector=SmtpConnector("mail.example.org"))
    try:
        item = await made.post(FULL, NOBODY, USER)
        await made.work()
        assert made.open(item) == {}
        full, nobody, demo = (next(text for text in made.events(item) if word in text) for word in (FULL, NOBODY, "relayed to"))
        assert full.startswith("failed: ") and " 552 5.2.2 " in full
        assert nobody.startswith("failed: ") and " 550 5.1.1 " in nobody
        assert USER in demo and " 250 2.0.0 " in demo
        ((_, report),) = made.reports()
        assert report.count("Final-Recipient: ") == 2 and "Status: 5.2.2" in report and "Status: 5.1.1" in report
        (attempt,) = made.attempts
        assert [(one.forward_path, one.result, one.status) for one in attempt.outcomes] == [
            (FULL, "permanent", "5.2.2"),
            (NOBODY, "permanent", "5.1.1"),
            (USER, "accepted", "2.0.0"),
        ]
    finally:
        await made.close()


async def test_a_socket_leaves_the_machine_for_nobody_so_no_policy_wants_tls_there(store: Dovecot, tmp_path: Path) -> None:
    for way, is_taken in (
        (StaticHop(str(store.lmtp_socket), 0, is_lmtp=True), True),
        (StaticHop("127.0.0.1", store.lmtp_port, is_lmtp=True), False),
    ):
        made = Office(tmp_path / str(way.port), {"example.test": way}, connector=SmtpConnector("mail.example.org"))
        made.rules.levels["example.test"] = TlsLevel.REQUIRED
        try:
            item = await made.post(USER)
            await made.work()
            assert [text.startswith("relayed to mail.example.org [/") for text in made.events(item)] == [is_taken]
            assert ("5.7.10" in str(made.reports())) is not is_taken
        finally:
            await made.close()


def test_a_whole_server_in_front_of_dovecot_as_the_page_says(store: Dovecot) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/hand-mail-to-a-mailbox-server.md").read_text()
    wanted = page.partition("```yaml\n")[2].partition("```")[0]
    wanted = wanted.replace("/run/dovecot/lmtp", str(store.lmtp_socket)).replace("example.org", "example.test")
    with server(policy=QUIET, start=False, domain="own.test") as made:
        text = re.sub(r"^routes: .*\n", "", made.config.read_text(), flags=re.MULTILINE)
        made.config.write_text(text + wanted)
        made.start()
        with made.smtp() as client:
            client.ehlo()
            client.mail("a@sender.invalid")
            assert client.rcpt(NOBODY)[0] == 550
            client.rset()
            client.sendmail("a@sender.invalid", [USER], b"From: a@sender.invalid\r\nSubject: by the page\r\n\r\nx\r\n")
        made.until(lambda: any(b"Subject: by the page" in one for one in mailbox(store)))
        assert f"mx.own.test  [{store.lmtp_socket}]" in made.run("tls", "check", "example.test", "--connect").stdout
        shown = made.explain()
        assert "250 2.0.0 <demo@example.test>" in shown and f"[{store.lmtp_socket}] within this machine" in shown


async def test_a_socket_that_is_not_there_makes_mail_wait(tmp_path: Path) -> None:
    made = Office(tmp_path, {"far.test": StaticHop(str(tmp_path / "none"), 0, is_lmtp=True)})
    try:
        item = await made.post("b@far.test")
        await made.work()
        assert made.open(item) == {0: 1}
        assert f"mail.example.org [{tmp_path}/none]: no connection: No such file or directory" in made.events(item)[0]
    finally:
        await made.close()


@pytest.mark.parametrize("offers", [("PIPELINING",), ("PIPELINING", "CHUNKING"), ()])
@pytest.mark.parametrize(
    ("second", "open_then"),
    [
        (b"452 4.2.2 full\r\n", {1: 1}),
        (CLOSE, {1: 1, 2: 1}),
        (b"", {2: 1}),
        (b"421 4.3.2 going down\r\n", {1: 1, 2: 1}),
        (b"552 5.2.2 full\r\n", {}),
    ],
    ids=["temporary", "connection lost", "a reply too few", "going down", "permanent"],
)
async def test_what_one_recipient_is_told_is_not_true_of_another(
    second: Answer, open_then: dict[int, int], offers: tuple[str, ...], tmp_path: Path
) -> None:
    """Those who had no reply stay, those who had theirs do not: a crash or a lost connection doubles nobody's mail."""
    with peer({"MESSAGE b@far.test": second}, offers=offers, is_lmtp=True) as far:
        way = StaticHop(far.address, far.port, is_lmtp=True)
        made = Office(tmp_path, {"far.test": way}, connector=SmtpConnector("mail.example.org", timeouts=SHORT))
        try:
            item = await made.post("a@far.test", "b@far.test", "c@far.test")
            await made.work()
            assert made.open(item) == open_then, made.events(item)
            far.answers.clear()
            await made.later(86_400)
            assert made.open(item) == {}
            assert far.lines[0] == "LHLO mail.example.org"
            assert len([taken for taken in far.taken if taken.forward_paths == ("a@far.test",)]) == 1
        finally:
            await made.close()


async def test_dsn_parameters_and_starttls_go_as_lhlo_offers_them(tmp_path: Path) -> None:
    certificate = throw_away_certificate(tmp_path, "far.test")
    with peer(offers=("DSN", "8BITMIME", "PIPELINING"), certificate=certificate, is_lmtp=True) as far:
        way = StaticHop(far.address, far.port, is_lmtp=True)
        made = Office(tmp_path, {"far.test": way})
        try:
            item = await made.post("a@far.test", ret="HDRS", envelope_id="e1")
            await made.work()
            assert made.open(item) == {} and far.taken[0].tls
            assert [line.partition(" ")[0] for line in far.lines[:3]] == ["LHLO", "STARTTLS", "LHLO"]
            assert f"MAIL FROM:<{SENDER}> RET=HDRS ENVID=e1" in far.lines
        finally:
            await made.close()
