"""Which addresses are this server's own (T-RELAY-17)."""

from dataclasses import replace
from pathlib import Path

import pytest

from mailward.app.config import Config, Listener, load_config
from mailward.app.relaying import OwnAddresses, make_relay
from mailward.delivery.route import LOOP
from mailward.formats.address import parse_mailbox
from mailward.model.address import NULL_REVERSE_PATH, ForwardPath
from mailward.model.tls import TlsLevel, TlsRequirement
from mailward.protocol.smtp.outgoing import OutgoingMail

CONFIG = """\
version: 1
hostname: mx.example.test
tls: {certificate: pair.pem, key: pair.pem}
listeners: {mx: {protocol: smtp, address: 127.0.0.2, port: 2025}}
"""


def own_addresses(folder: Path, *addresses: str) -> OwnAddresses:
    listeners = tuple(Listener("mx", "smtp", address, 25, "none") for address in addresses)
    return OwnAddresses(replace(_config(folder), listeners=(*listeners, Listener("imap", "imap", "127.0.0.7", 143, "none"))))


def _config(folder: Path) -> Config:
    (folder / "pair.pem").write_text("x")
    (folder / "mailward.yaml").write_text(CONFIG)
    return load_config(folder / "mailward.yaml")


@pytest.mark.parametrize(
    ("listening", "address", "ours"),
    [
        ("127.0.0.2", "127.0.0.2", True),
        ("127.0.0.2", "127.0.0.3", False),
        ("127.0.0.2", "127.0.0.7", False),
        ("0.0.0.0", "127.0.0.3", True),
        ("0.0.0.0", "9.9.9.9", False),
        ("0.0.0.0", "2a00::1", False),
    ],
)
def test_t_relay_17_an_address_is_ours_when_a_listener_has_it(tmp_path: Path, listening: str, address: str, ours: bool) -> None:
    assert own_addresses(tmp_path, listening)(address) is ours


async def test_t_relay_17_mail_for_our_own_address_literal_is_a_loop(tmp_path: Path) -> None:
    path = ForwardPath(parse_mailbox("a@[127.0.0.2]"))
    mail = OutgoingMail(NULL_REVERSE_PATH, (path,), b"x\r\n")
    found = await make_relay(_config(tmp_path)).attempt("[127.0.0.2]", mail, TlsRequirement(TlsLevel.OPPORTUNISTIC, ""), None)
    assert found.fates[path].status == LOOP.enhanced
