"""The way out knows where mail comes in (T-RELAY-17)."""

from pathlib import Path

import pytest

from mailward.app.config_file import load_config
from mailward.app.relaying import make_relay, passwords
from mailward.delivery.relay import Errand
from mailward.delivery.route import LOOP
from mailward.formats.address import parse_mailbox
from mailward.model.address import NULL_REVERSE_PATH, ForwardPath
from mailward.protocol.smtp.outgoing import OutgoingMail

CONFIG = """\
version: 1
hostname: mx.example.test
tls: {certificate: pair.pem, key: pair.pem}
listeners:
  mx: {protocol: smtp, address: 127.0.0.2, port: 2025}
  imap: {protocol: imap, address: 127.0.0.7, port: 2143}
"""


@pytest.mark.parametrize(("address", "loops"), [("127.0.0.2", True), ("127.0.0.7", False)])
async def test_t_relay_17_mail_for_the_address_of_an_smtp_listener_is_a_loop(tmp_path: Path, address: str, loops: bool) -> None:
    (tmp_path / "pair.pem").write_text("x")
    (tmp_path / "mailward.yaml").write_text(CONFIG)
    relay = make_relay(load_config(tmp_path / "mailward.yaml"))
    path = ForwardPath(parse_mailbox(f"a@[{address}]"))
    mail = OutgoingMail(NULL_REVERSE_PATH, (path,), b"x\r\n")

    async def no_requirements(_: object) -> tuple[()]:
        return ()

    async def nobody_listens(_: object) -> None:
        pass

    async def not_asked() -> bytes:
        raise AssertionError

    found = await relay.attempt(Errand(f"[{address}]", mail, no_requirements, nobody_listens, not_asked), None)
    assert (found.fates[path].status == LOOP.enhanced) is loops


def test_a_password_that_cannot_be_read_is_told_with_what_mends_it(tmp_path: Path) -> None:
    (tmp_path / "pair.pem").write_text("x")
    (tmp_path / "mailward.yaml").write_text(CONFIG)
    password = passwords(load_config(tmp_path / "mailward.yaml"))
    file = tmp_path / "secrets/routes/provider"
    with pytest.raises(ValueError, match=f"^there is no file {file}; write the password into it, mode 0600$"):
        password("provider")
    file.parent.mkdir(parents=True)
    file.touch(mode=0o600)
    with pytest.raises(ValueError, match=f"^{file} is empty; write the password into its first line$"):
        password("provider")
    file.chmod(0o644)
    with pytest.raises(PermissionError, match=f"^{file} is open to others; run: chmod 600 {file}$"):
        password("provider")
    file.chmod(0o600)
    file.write_text("secret\n")
    assert password("provider") == "secret"
