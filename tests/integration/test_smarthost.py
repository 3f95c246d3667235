"""Mail leaves by a smarthost that wants a login: another Mailward, whose users log in by any mechanism."""

import os
import re
from collections.abc import Iterator

import pytest

from mailward.delivery.ports import HostFailed
from mailward.delivery.route import Target
from mailward.delivery.static_hop import Login, StaticHop
from mailward.model.tls import TlsLevel, TlsRequirement
from mailward.net.connect import SmtpConnector
from mailward.protocol import sasl_client
from support.relayed import QUIET
from support.server import PASSWORD, Server, server
from support.smtp_peer import Peer, peer

USER = "demo@one.test"
ANY = TlsRequirement(TlsLevel.OPPORTUNISTIC, "nobody asks for TLS")
VERIFIED = TlsRequirement(TlsLevel.VERIFIED, "the test says so")
MAIL = b"From: demo@one.test\r\nTo: ann@far.test\r\nSubject: x\r\n\r\nbody\r\n"


def routed(made: Server, route: str) -> None:
    text = re.sub(r"^routes: .*\n", "", made.config.read_text(), flags=re.MULTILINE)
    made.config.write_text(f"{text}routes: {{{route}}}\n")


def give_password(made: Server, password: str) -> None:
    folder = made.folder / "secrets/routes"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / "provider"
    file.write_text(password + "\n")
    file.chmod(0o600)
    owner = folder.parent.stat()
    for path in (folder, file):
        os.chown(path, owner.st_uid, owner.st_gid)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Server, Peer]]:
    """The smarthost, and where it sends the mail for far.test."""
    with server(policy=QUIET, start=False, domain="one.test") as host, peer() as far:
        routed(host, f'far.test: "smtp:[127.0.0.1]:{far.port}"')
        host.start()
        yield host, far


@pytest.mark.parametrize(("listener", "tls"), [("submission", "starttls"), ("submissions", "implicit")])
def test_everything_leaves_by_the_smarthost(world: tuple[Server, Peer], listener: str, tls: str) -> None:
    host, far = world
    before = len(far.taken)
    with server(policy=QUIET, start=False, domain="one.test") as made:
        port = host.port(listener)
        routed(made, f'"*": {{host: "127.0.0.1", port: {port}, tls: {tls}, level: required, user: {USER}, password: provider}}')
        refused = made.run("serve", check=False)
        assert refused.returncode == 78 and "routes.*.password" in refused.stderr
        give_password(made, "wrong password")
        made.start()
        assert made.submit(MAIL, "ann@far.test", account=USER)[0] == 250
        made.until(lambda: b"no login at a smarthost" in made.log_octets())
        made.until(lambda: "no login as demo@one.test" in str(made.json("queue", "list")))
        assert PASSWORD.encode() not in made.log_octets() and b"wrong password" not in made.log_octets()
        assert len(far.taken) == before

        give_password(made, PASSWORD)  # counts at once
        made.run("queue", "retry", "--all")
        sent = far.wait_for(before + 1)[-1]
        assert (sent.reverse_path, sent.forward_paths) == (USER, ("ann@far.test",))
        assert b"ESMTPSA" in sent.octets


def test_a_smarthost_without_tls_never_hears_the_password() -> None:
    with server(policy=QUIET, start=False, domain="one.test") as made, peer(offers=("AUTH PLAIN LOGIN",)) as plain:
        routed(made, f'"*": {{host: "127.0.0.1", port: {plain.port}, level: required, user: {USER}, password: provider}}')
        give_password(made, PASSWORD)
        made.start()
        assert made.submit(MAIL, "ann@far.test", account=USER)[0] == 250
        made.until(lambda: "does not offer STARTTLS" in str(made.json("queue", "list")))
        assert not any("AUTH" in line or "MAIL" in line for line in plain.lines)


@pytest.mark.parametrize("mechanisms", [{"SCRAM-SHA-256"}, {"PLAIN"}, {"LOGIN"}])
async def test_each_mechanism_lets_us_in(
    world: tuple[Server, Peer], mechanisms: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _ = world
    choose = sasl_client.choose
    monkeypatch.setattr("mailward.net.connect.choose", lambda offered, *who: choose(mechanisms & set(offered), *who))
    hop = StaticHop("127.0.0.1", host.port("submissions"), True, TlsLevel.REQUIRED, Login(USER, "s"), hostname="own.one.test")
    target = Target("127.0.0.1", "127.0.0.1", hop.port, is_trusted=True, static=hop)
    made = await SmtpConnector("x.test", password=lambda name: PASSWORD).connect(target, "far.test", ANY)
    assert made.is_usable and made.tls is not None
    await made.close()
    with pytest.raises(HostFailed, match="the server refuses the login: 535"):
        await SmtpConnector("x.test", password=lambda name: "no").connect(target, "far.test", ANY)
    with pytest.raises(HostFailed, match="certificate"):  # nobody has signed it
        await SmtpConnector("x.test", password=lambda name: PASSWORD).connect(target, "far.test", VERIFIED)
