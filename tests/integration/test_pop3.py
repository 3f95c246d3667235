"""POP3 over real sockets and TLS, on uvloop as in production: with clients that others wrote, and raw where they would not go."""

import mailbox
import poplib
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailward.net.admission import Admission, AdmissionLimits
from mailward.net.pop3d import Pop3Settings
from mailward.store.ops import Append
from support.pop3 import PASSWORD
from support.pop3_server import LOGIN, NAME, Pop3Server
from support.processes import program
from support.storecheck import RECEIVED_AT

Start = Callable[..., Pop3Server]

HEAD = "From: Ann <ann@example.net>\r\nTo: alice@example.test\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"


def mail(name: str, body: str = "") -> bytes:
    return f"{HEAD}Subject: {name}\r\nMessage-ID: <{name}@example.net>\r\n\r\n{body or name}\r\n".encode()


THREE = [mail("one"), mail("two", ".\r\n..\r\n.end\r\nx" + "y" * 900), mail("three", "z\r\n\r\n\r\n")]


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    running: list[Pop3Server] = []

    def begin(settings: Pop3Settings | None = None, admission: Admission | None = None) -> Pop3Server:
        running.append(Pop3Server(tmp_path_factory.mktemp("p"), settings, admission))
        return running[-1]

    yield begin
    for server in running:
        server.close()


def rest(client: socket.socket) -> bytes:
    octets = b""
    while more := client.recv(65536):
        octets += more
    return octets


def said(client: socket.socket, commands: bytes) -> bytes:
    """All that comes back for commands of which the last ends the session."""
    client.sendall(commands)
    return rest(client)


# --- clients ---


def test_poplib(start: Start) -> None:
    server = start()
    server.deliver(*THREE)
    client = poplib.POP3("127.0.0.1", server.plain_port, timeout=60)
    assert "STLS" in client.capa() and "USER" not in client.capa()
    with pytest.raises(poplib.error_proto):
        client.user(NAME)
    client.stls(server.client_context)
    client.user(NAME)
    client.pass_(PASSWORD)
    assert client.stat() == (3, sum(map(len, THREE)))
    assert client.list()[1] == [b"%d %d" % (n, len(octets)) for n, octets in enumerate(THREE, 1)]
    assert len({line.split()[1] for line in client.uidl()[1]}) == 3
    for number, octets in enumerate(THREE, 1):
        assert b"".join(line + b"\r\n" for line in client.retr(number)[1]) == octets
    assert client.top(2, 1)[1][-2:] == [b"", b"."]
    client.dele(2)
    client.rset()
    client.dele(1)
    client.quit()
    assert server.flags() == [1, 1], "two are left, and were read"


def _curl(server: Pop3Server, url: str, *arguments: str) -> bytes:
    common = ["curl", "-sS", "--cacert", str(server.folder / "c.pem"), "--user", f"{NAME}:{PASSWORD}", *arguments, url]
    return subprocess.run(common, check=True, capture_output=True, timeout=60).stdout


def test_curl_lists_reads_and_deletes(start: Start) -> None:
    server = start()
    server.deliver(*THREE)
    url = f"pop3s://localhost:{server.tls_port}"
    assert _curl(server, f"{url}/") == b"".join(b"%d %d\r\n" % (n, len(octets)) for n, octets in enumerate(THREE, 1))
    for number, octets in enumerate(THREE, 1):
        assert _curl(server, f"{url}/{number}") == octets
    assert _curl(server, f"{url}/", "-X", "TOP 3 1").endswith(b"\r\n\r\nz\r\n")
    _curl(server, f"{url}/1", "-X", "DELE", "-I")
    assert len(server.flags()) == 2


@pytest.mark.parametrize("how", ["", ";AUTH=PLAIN", ";AUTH=+LOGIN"])
def test_curl_over_stls(start: Start, how: str) -> None:
    server = start()
    server.deliver(*THREE)
    options = ["--ssl-reqd"] if how != ";AUTH=PLAIN" else ["--ssl-reqd", "--sasl-ir"]
    if how == ";AUTH=+LOGIN":
        how = ""
        options += ["--login-options", "AUTH=PLAIN"]
    user = NAME.replace("@", "%40")
    assert _curl(server, f"pop3://{user}{how}@localhost:{server.plain_port}/2", *options) == THREE[1]


def _fetchmail(server: Pop3Server, folder: Path, *options: str) -> tuple[int, str]:
    """Poll once; mail is kept one file each in folder/got."""
    (folder / "got").mkdir(exist_ok=True)
    (folder / "home").mkdir(exist_ok=True)
    rc = folder / "fetchmailrc"
    rc.write_text(
        f'set no syslog\nset idfile "{folder}/ids"\nset invisible\n'
        f'poll localhost protocol pop3 port {server.tls_port} uidl user "{NAME}" password "{PASSWORD}" ssl '
        f'sslcertck sslcertfile "{server.folder}/c.pem" {" ".join(options)} '
        f"mda \"sh -c 'cat > $(mktemp {folder}/got/XXXXXX)'\"\n"
    )
    rc.chmod(0o600)
    environment = {"HOME": str(folder / "home"), "FETCHMAILHOME": str(folder / "home"), "PATH": "/usr/sbin:/usr/bin:/bin"}
    done = subprocess.run(
        [program("fetchmail", "fetchmail"), "-f", str(rc), "--nodetach", "-v"],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def _got(folder: Path) -> list[bytes]:
    return sorted(file.read_bytes() for file in (folder / "got").iterdir())


def test_fetchmail_keeps_and_then_deletes(start: Start, tmp_path: Path) -> None:
    server = start()
    server.deliver(*THREE)
    wanted = sorted(octets.replace(b"\r\n", b"\n") for octets in THREE)
    code, output = _fetchmail(server, tmp_path, "keep")
    assert code == 0, output
    assert _got(tmp_path) == wanted
    assert server.flags() == [0, 0, 0], "what it keeps it reads by TOP"
    code, output = _fetchmail(server, tmp_path, "keep")
    assert code == 1, f"by their UIDL none is new: {output}"
    assert _got(tmp_path) == wanted
    server.deliver(mail("four"))
    code, output = _fetchmail(server, tmp_path, "keep")
    assert code == 0 and len(_got(tmp_path)) == 4, output
    code, output = _fetchmail(server, tmp_path, "fetchall", "nokeep")
    assert code == 0 and len(_got(tmp_path)) == 8, output
    assert server.flags() == []


def test_fetchmail_is_told_that_the_maildrop_is_in_use(start: Start, tmp_path: Path) -> None:
    server = start()
    server.deliver(*THREE)
    holder = server.connect()
    code, output = _fetchmail(server, tmp_path, "keep")
    assert code == 9, f"its word for a lock that is held: {output}"
    holder.quit()
    assert _fetchmail(server, tmp_path, "keep")[0] == 0


def test_mpop_keeps_and_then_deletes(start: Start, tmp_path: Path) -> None:
    server = start()
    server.deliver(*THREE)
    rc = tmp_path / "mpoprc"
    target = mailbox.Maildir(tmp_path / "got")
    for keep in ("on", "on", "off"):
        rc.write_text(
            f"account a\nhost localhost\nport {server.plain_port}\ntls on\ntls_starttls on\n"
            f"tls_trust_file {server.folder}/c.pem\nuser {NAME}\npassword {PASSWORD}\nauth plain\nuidls_file {tmp_path}/uidls\n"
            f"delivery maildir {tmp_path}/got\nkeep {keep}\nreceived_header off\n"
        )
        rc.chmod(0o600)
        done = subprocess.run(
            [program("mpop", "mpop"), "-C", str(rc), "a"], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        got = sorted(target.get_bytes(key) for key in target.iterkeys())
        assert got == sorted(octets.replace(b"\r\n", b"\n") for octets in THREE), "each once"
        assert len(server.flags()) == (0 if keep == "off" else 3)


# --- TLS ---


@pytest.mark.parametrize("following", [b"USER x\r\n", b"CAPA\r\n", b"\x16\x03\x01"])
def test_t_tls_03_what_follows_stls_in_one_segment_is_never_carried_out(start: Start, following: bytes) -> None:
    server = start()
    with server.raw() as client:
        assert client.recv(100).startswith(b"+OK")
        assert said(client, b"STLS\r\n" + following) == b"-ERR Nothing may follow STLS\r\n"


def test_t_tls_03_what_comes_between_stls_and_the_handshake_is_never_carried_out(start: Start) -> None:
    server = start()
    with server.raw() as client:
        client.recv(100)
        client.sendall(b"STLS\r\n")
        assert client.recv(100) == b"+OK Begin TLS now\r\n"
        client.sendall(b"USER smuggled@example.test\r\n")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            server.client_context.wrap_socket(client)


def test_t_tls_03_a_name_given_in_clear_is_gone_after_stls(start: Start) -> None:
    server = start()
    with server.raw() as client:
        client.recv(100)
        client.sendall(b"USER alice@example.test\r\n")
        assert client.recv(100) == b"-ERR Start TLS first\r\n"
        client.sendall(b"STLS\r\n")
        client.recv(100)
        with server.client_context.wrap_socket(client) as secure:
            secure.sendall(f"PASS {PASSWORD}\r\n".encode())
            assert secure.recv(100) == b"-ERR First USER, then PASS\r\n"


def test_t_tls_11_no_login_in_clear(start: Start) -> None:
    server = start()
    with server.raw() as client:
        client.recv(100)
        assert (
            said(client, LOGIN + b"AUTH PLAIN AGEAYg==\r\nQUIT\r\n")
            == b"-ERR Start TLS first\r\n" * 3 + b"+OK Until next time\r\n"
        )
    assert server.authenticator.peers == []


# --- limits ---


def test_octets_that_trickle_in_do_not_prolong_the_time_before_login(start: Start) -> None:
    server = start(Pop3Settings(login_s=0.3))
    with server.raw() as client:
        octets = b""
        client.settimeout(0.05)
        while True:
            try:
                client.sendall(b"a")
                if not (more := client.recv(100)):
                    break
                octets += more
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert octets == b"+OK pop.example.test POP3 ready\r\n"


def test_a_silent_session_is_ended_without_a_word_and_deletes_nothing(start: Start) -> None:
    server = start(Pop3Settings(idle_s=0.3))
    server.deliver(*THREE)
    with server.secure() as client:
        assert said(client, LOGIN + b"DELE 1\r\n").endswith(b"+OK Marked as deleted\r\n")
    assert len(server.flags()) == 3


def test_connections_of_one_address_are_counted(start: Start) -> None:
    server = start(admission=Admission(AdmissionLimits(per_address=2)))
    with server.raw() as first, server.raw() as second, server.raw() as third:
        assert first.recv(3) == second.recv(3) == b"+OK"
        assert rest(third) == b"-ERR [SYS/TEMP] Too many connections from your address\r\n"
        said(first, b"QUIT\r\n")
    with server.raw() as fourth:
        assert fourth.recv(3) == b"+OK"


def test_a_client_that_does_not_read_is_given_up_and_its_maildrop_is_free(start: Start) -> None:
    server = start(Pop3Settings(write_s=0.3, output_octets=64 * 1024))
    server.deliver(*[mail(f"large{n}", ("x" * 76 + "\r\n") * 12_000) for n in range(12)])
    with server.secure() as client:
        client.sendall(LOGIN + b"".join(b"RETR %d\r\n" % (n % 12 + 1) for n in range(200)) + b"DELE 1\r\nQUIT\r\n")
        server.until_alone()
    again = server.connect()
    assert again.stat()[0] == 12
    again.quit()


def test_shutdown_ends_sessions_and_deletes_nothing(start: Start) -> None:
    server = start()
    server.deliver(*THREE)
    with server.secure() as client:
        client.sendall(LOGIN + b"DELE 1\r\n")
        octets = b""
        while b"Marked as deleted\r\n" not in octets:
            octets += client.recv(1000)
        server.close()
        assert rest(client) == b""
    assert len(server.flags()) == 3


# --- size ---


def test_a_large_maildrop_is_listed_and_dele_is_pipelined(start: Start) -> None:
    count = 100_000
    server = start()
    account = server.account()
    inbox = account.mailbox("INBOX").id
    octets = b"Subject: x\r\n\r\nbody\r\n"
    for _ in range(count // 5000):
        account.apply([Append(inbox, octets, RECEIVED_AT)] * 5000)
    client = server.connect()
    assert client.stat() == (count, count * len(octets))
    assert len(client.list()[1]) == len(client.uidl()[1]) == count
    assert len(client.top(count, 0)[1]) == 2
    client.quit()
    with server.secure() as raw:
        answers = said(raw, LOGIN + b"".join(b"DELE %d\r\n" % number for number in range(1, 1001)) + b"QUIT\r\n")
        assert answers.count(b"+OK Marked as deleted\r\n") == 1000
        assert answers.endswith(b"+OK Until next time\r\n")
    assert len(server.flags()) == count - 1000
