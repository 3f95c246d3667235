"""Real mail programs of an account with a second factor: each logs in with an app password, none with the main password."""

import imaplib
import poplib
import smtplib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest

from support.clients import curl_reads, curl_sends, fetchmail_fetches, mbsync_fetches, msmtp_sends, mutt_sends
from support.server import PASSWORD, Server, server

DEMO = "demo@example.test"
LETTER = f"From: {DEMO}\r\nTo: {DEMO}\r\nSubject: by SUBJECT\r\n\r\na letter\r\n"
Sends = Callable[[Server, Path, str, str, str, bytes], None]


@pytest.fixture(scope="module")
def target() -> Iterator[Server]:
    with server() as made:
        policy = "version: 1\nextends: mailward/access\nplugins: {totp: {code_after_password: true}}\n"
        (made.folder / "policies/access.yaml").write_text(policy)
        made.reload()
        made.give_second_factor(DEMO)
        yield made


def _arrived(target: Server, subject: str) -> bytes:
    deadline = time.monotonic() + 30
    while not (found := [octets for octets in target.messages() if f"Subject: {subject}\r\n".encode() in octets]):
        assert time.monotonic() < deadline, target.log()
        time.sleep(0.1)
    return found[0]


def _msmtp_plain(target: Server, home: Path, account: str, password: str, to: str, octets: bytes) -> None:
    msmtp_sends(target, home, account, password, to, octets, auth="plain")


@pytest.mark.parametrize(("sends", "name"), [(curl_sends, "curl"), (msmtp_sends, "msmtp"), (_msmtp_plain, "msmtp-plain")])
def test_programs_send_with_an_app_password(target: Server, tmp_path: Path, sends: Sends, name: str) -> None:
    sends(target, tmp_path, DEMO, target.password(DEMO), DEMO, LETTER.replace("SUBJECT", name).encode())
    assert b" with ESMTPSA" in _arrived(target, f"by {name}")
    with pytest.raises(AssertionError, match=r"(?i)authentication failed|login denied"):
        sends(target, tmp_path, DEMO, PASSWORD, DEMO, LETTER.replace("SUBJECT", "nobody").encode())


def test_mutt_sends_with_an_app_password(target: Server, tmp_path: Path) -> None:
    mutt_sends(target, tmp_path, DEMO, target.password(DEMO), DEMO, "by mutt", "a letter\n")
    assert b" with ESMTPSA" in _arrived(target, "by mutt")


def test_programs_read_with_an_app_password(target: Server, tmp_path: Path) -> None:
    target.submit(LETTER.replace("SUBJECT", "somebody").encode(), DEMO)
    first = _arrived(target, "by somebody") and target.messages()[0]
    for scheme in ("imaps", "pop3s"):
        assert curl_reads(target, tmp_path, DEMO, target.password(DEMO), scheme).rstrip() == first.rstrip()
        assert curl_reads(target, tmp_path, DEMO, PASSWORD, scheme, codes=(67,)) == b""
    fetched = mbsync_fetches(target, tmp_path, DEMO, target.password(DEMO))
    assert first.replace(b"\r\n", b"\n") in fetched
    assert any(b"Subject: by somebody\n" in octets for octets in fetchmail_fetches(target, tmp_path, DEMO, target.password(DEMO)))


def test_t_2fa_01_a_code_is_taken_once_whatever_the_protocol_and_the_process(target: Server) -> None:
    target.add_account("twice@example.test")
    _, secret = target.give_second_factor("twice@example.test")
    password = f"{PASSWORD}${pyotp.TOTP(secret).at(int(time.time()) + 30)}"  # the step that confirmed is used
    with imaplib.IMAP4_SSL("127.0.0.1", target.port("imaps"), ssl_context=target.tls()) as imap:
        imap.login("twice@example.test", password)
    with pytest.raises(smtplib.SMTPAuthenticationError, match=r"5\.7\.8"):
        target.submission("twice@example.test", password)
    pop = poplib.POP3_SSL("127.0.0.1", target.port("pop3s"), context=target.tls(), timeout=60)
    pop.user("twice@example.test")
    with pytest.raises(poplib.error_proto, match="AUTH"):
        pop.pass_(password)
    pop.close()
