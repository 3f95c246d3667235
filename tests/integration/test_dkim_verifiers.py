"""Signatures of ours, judged by OpenDKIM, which shares no code with dkimpy or with us."""

import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailward.api import AddHeader, MessageView
from mailward.formats.edits import render
from mailward.testing.fakes import MemorySecrets
from mailward_plugins.dkim.keys import signing_keys
from mailward_plugins.dkim.signing import SIGNATURE_FIELD, sign
from support.dkim_keys import ed25519_pem, rsa_pem
from support.mail import crlf
from support.processes import program

KEYS = signing_keys("signed.test", MemorySecrets({"signed.test/r1.pem": rsa_pem(), "signed.test/e1.pem": ed25519_pem()}))
HEADER = b"From: Ann <ann@signed.test>\r\nTo: bob@example.net\r\nSubject: Lunch,\r\n\t today \r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
MESSAGES = {
    "plain": HEADER + b"\r\nShall we?\r\n",
    "8-bit and blanks": HEADER + b"Content-Transfer-Encoding: 8bit\r\n\r\n\xc3\x84pfel \t und\tBirnen \r\n\r\n\r\n",
    "empty": HEADER + b"\r\n",
    "long lines": HEADER + b"\r\n" + b"word " * 1000 + b"\r\n" + b"x" * 5000 + b"\r\n",
    "two subjects": HEADER + b"subject : again\r\n\r\ntext\r\n",
    "100 kB": HEADER + b"\r\n" + b"a line of text,  with two blanks\r\n" * 3000,
}
PASSED = [("pass", "rsa-sha256", "r1"), ("pass", "ed25519-sha256", "e1")]


def signed(message: bytes) -> bytes:
    values = sign(MessageView(message), KEYS, datetime.now(UTC), timedelta(days=14))
    return render(message, [AddHeader(SIGNATURE_FIELD, value) for value in values])


def judged(message: bytes, folder: Path) -> list[tuple[str, str, str]]:
    """Result, algorithm and selector of each signature."""
    (folder / "keys").write_text("".join(f"{key.record_name} {key.private.record}\n" for key in KEYS))
    (folder / "opendkim.conf").write_text(
        f"Mode v\nTestPublicKeys {folder}/keys\nSyslog no\nAlwaysAddARHeader yes\nAuthservID test\nTemporaryDirectory {folder}\n"
    )
    (folder / "message").write_bytes(message)
    arguments: list[str | Path] = [
        program("opendkim", "opendkim"),
        "-x",
        folder / "opendkim.conf",
        "-t",
        folder / "message",
        "-v",
        "-v",
    ]
    told = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False).stdout
    assert "Authentication-Results" in told
    return re.findall(r"dkim=(\w+).*? header\.a=(\S+) header\.s=(\w+)", told)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_both_signatures_hold_for_opendkim(message: bytes, tmp_path: Path) -> None:
    assert sorted(judged(signed(crlf(message)), tmp_path)) == sorted(PASSED)


@pytest.mark.parametrize("added", [b"From: ceo@bank.test\r\n", b"Subject: other\r\n", b"Content-Type: text/html\r\n"])
def test_t_dkim_02_none_holds_for_opendkim_once_a_field_is_added(added: bytes, tmp_path: Path) -> None:
    results = judged(added + signed(MESSAGES["plain"]), tmp_path)
    assert results and not any(result == "pass" for result, _, _ in results)
