"""EICAR against a real clamd, over real SMTP: refused with 554 5.7.1; without clamd 451 4.3.0, and nothing is lost (T-AV-01)."""

import base64
import io
import tempfile
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from support.clamd_server import EICAR, ClamdServer
from support.server import Server, server

POLICY = """\
version: 1
extends: mailward/inbound
plugins:
  antivirus: {{socket: "{socket}", timeout: 20s}}
"""


def _message(*, attachment: bytes | None = None, name: str = "file.bin") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "a@sender.invalid"
    message["To"] = "demo@example.test"
    message["Subject"] = "a test"
    message["Date"] = "Mon, 2 Nov 2026 10:00:00 +0000"
    message["Message-ID"] = "<1@sender.invalid>"
    message.set_content("text\n")
    if attachment is not None:
        message.add_attachment(attachment, maintype="application", subtype="octet-stream", filename=name)
    return message


def _octets(message: EmailMessage) -> bytes:
    return message.as_bytes().replace(b"\n", b"\r\n")


def _zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.com", EICAR)
    return buffer.getvalue()


def _nested() -> bytes:
    """EICAR in base64 inside message/rfc822 inside multipart."""
    inner = _message(attachment=EICAR)
    outer = _message()
    outer.add_attachment(inner)
    octets = _octets(outer)
    assert base64.b64encode(EICAR)[:40] in octets
    assert b"message/rfc822" in octets
    return octets


INFECTED = {
    "plain": _octets(_message()) + EICAR + b"\r\n",
    "attached": _octets(_message(attachment=EICAR)),
    "zip": _octets(_message(attachment=_zipped(), name="a.zip")),
    "rfc822": _nested(),
}


@pytest.fixture(scope="module")
def target(clamd_server: ClamdServer) -> Iterator[Server]:
    with server(policy=POLICY.format(socket=clamd_server.address)) as made:
        yield made


@pytest.mark.parametrize("form", sorted(INFECTED))
def test_t_av_01_eicar_is_refused(target: Server, form: str) -> None:
    code, text = target.send(INFECTED[form])
    assert (code, text[:6]) == (554, "5.7.1 ")
    explained = target.explain()
    assert "REJECT" in explained
    assert "VIRUS_FOUND" in explained
    assert target.messages() == []


def test_a_clean_message_passes(target: Server) -> None:
    assert target.send(_octets(_message(attachment=b"harmless")))[0] == 250
    target.wait_for(1)
    assert "clean" in target.explain()


def test_t_av_10_clamd_stopped_is_451_and_the_mail_arrives_when_it_is_back() -> None:
    folder = Path(tempfile.mkdtemp(prefix="mailward-clamd-"))
    scanner = ClamdServer(folder)
    with server(policy=POLICY.format(socket=scanner.address)) as made:
        scanner.close()
        octets = _octets(_message(attachment=b"harmless"))
        code, text = made.send(octets)
        assert (code, text[:6]) == (451, "4.3.0 ")
        explained = made.explain()
        assert "antivirus" in explained
        assert "FAILED" in explained
        scanner.start()
        try:
            assert made.send(octets)[0] == 250
            assert len(made.wait_for(1)) == 1
            assert made.send(INFECTED["attached"])[0] == 554
        finally:
            scanner.close()
