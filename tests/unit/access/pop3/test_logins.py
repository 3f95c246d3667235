"""Who is let in, and may hold a maildrop: one session at a time."""

import subprocess
import sys
from pathlib import Path

from mailward.access.pop3.leases import Leases
from mailward.disk import Disk
from mailward.model.ids import AccountId
from support.pop3 import FIVE, PASSWORD, Client, Office


async def test_t_pop_04_nothing_tells_whether_a_name_is_known(office: Office) -> None:
    office.deliver(*FIVE)
    client = Client(office)
    await client.line()
    said = {}
    for name in ("alice@example.test", "nobody@example.test", "\xff"):
        said[name] = (await client.command(f"USER {name}"), await client.command("PASS wrong"))
    assert set(said.values()) == {("+OK Now the password", "-ERR [AUTH] Authentication failed")}


async def test_t_pop_04_a_second_session_is_refused_until_the_first_is_over(office: Office) -> None:
    office.deliver(*FIVE)
    first = await Client(office).login()
    second = Client(office)
    await second.line()
    await second.command("USER alice@example.test")
    assert await second.command(f"PASS {PASSWORD}") == "-ERR [IN-USE] Another session has this mailbox open"
    await (await Client(office).login("bob")).close()
    assert (await second.command("STAT")) == "-ERR Log in first"
    await first.drop()
    await second.command("USER alice@example.test")
    assert (await second.command(f"PASS {PASSWORD}")).startswith("+OK")


def test_t_pop_04_a_killed_process_holds_no_maildrop(tmp_path: Path) -> None:
    account = AccountId("alice")
    code = (
        "import sys; from pathlib import Path; from mailward.disk import Disk; from mailward.access.pop3.leases import Leases\n"
        "lease = Leases(Path(sys.argv[1]), Disk()).take('alice'); print(lease is not None, flush=True); sys.stdin.read()"
    )
    leases = Leases(tmp_path, Disk())
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert leases.take(account) is None, "held by another process"
        other.kill()
        other.wait()
    lease = leases.take(account)
    assert lease is not None
    assert leases.take(account) is None
    lease.release()
    lease.release()
    assert list(tmp_path.iterdir()) == []


async def test_login_peers_and_mechanisms(office: Office) -> None:
    client = await Client(office).login()
    (peer,) = office.authenticator.peers
    assert (peer.protocol, peer.listener, peer.peer_ip) == ("pop3", client.wire.listener, "192.0.2.1")
    assert peer.tls is not None
    unavailable = Client(office)
    await unavailable.line()
    await unavailable.command("USER down@example.test")
    assert (await unavailable.command("PASS x")).startswith("-ERR [SYS/TEMP] ")


async def test_t_tls_03_stls_starts_over(office: Office) -> None:
    client = Client(office, is_secure=False, can_start_tls=True)
    await client.line()
    assert b"STLS" in await client.lines("CAPA")
    assert await client.command("USER alice@example.test") == "-ERR Start TLS first"
    assert await client.command("STLS") == "+OK Begin TLS now"
    assert b"USER" in await client.lines("CAPA")
    injected = Client(office, is_secure=False, can_start_tls=True)
    injected.wire.feed(b"STLS\r\nUSER x\r\n")
    await injected.ended()
    assert injected.wire.sent.endswith(b"-ERR Nothing may follow STLS\r\n") and not injected.wire.is_secure
