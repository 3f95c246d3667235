"""Logins of a whole server: every mechanism over IMAP, app passwords by the command line, and the auth process going away."""

import base64
import imaplib
import os
import poplib
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pyotp
import pytest
import scramp

from support.server import PASSWORD, Server, server

ADDRESS = "demo@example.test"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server() as made:
        yield made


def connect(to: Server) -> imaplib.IMAP4_SSL:
    return imaplib.IMAP4_SSL("127.0.0.1", to.port("imaps"), ssl_context=to.tls(), timeout=60)


def answer(to: Server, password: str, name: str = ADDRESS) -> str:
    """What LOGIN gets."""
    client = connect(to)
    try:
        return client.login(name, password)[0]
    except imaplib.IMAP4.error as error:
        return str(error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0])
    finally:
        client.shutdown()


def scram(to: Server, password: str, name: str = ADDRESS) -> str:
    """What AUTHENTICATE SCRAM-SHA-256 gets; the server's own proof is checked."""
    exchange = scramp.ScramClient(["SCRAM-SHA-256"], name, password)

    def respond(challenge: bytes) -> bytes:
        if not challenge:
            return cast(bytes, exchange.get_client_first().encode())
        if challenge.startswith(b"r="):
            exchange.set_server_first(challenge.decode())
            return cast(bytes, exchange.get_client_final().encode())
        exchange.set_server_final(challenge.decode())
        return b""

    client = connect(to)
    try:
        return client.authenticate("SCRAM-SHA-256", respond)[0]
    except imaplib.IMAP4.error as error:
        return str(error)
    finally:
        client.shutdown()


def test_mechanisms_are_offered_under_tls_alone(running: Server) -> None:
    assert {"AUTH=PLAIN", "AUTH=SCRAM-SHA-256"} <= set(connect(running).capabilities)
    clear = imaplib.IMAP4("127.0.0.1", running.port("imap"), timeout=60)
    assert "LOGINDISABLED" in clear.capabilities and not any(c.startswith("AUTH=") for c in clear.capabilities)
    clear.starttls(running.tls())
    assert "AUTH=SCRAM-SHA-256" in clear.capabilities
    clear.shutdown()


@pytest.mark.parametrize("command", ["LOGIN demo@example.test x", "AUTHENTICATE SCRAM-SHA-256", "AUTHENTICATE PLAIN AGEAYg=="])
def test_t_tls_11_no_login_in_clear(running: Server, command: str) -> None:
    clear = imaplib.IMAP4("127.0.0.1", running.port("imap"), timeout=60)
    clear.send(f"x {command}\r\n".encode())
    assert clear.readline().startswith(b"x NO [PRIVACYREQUIRED]")
    clear.shutdown()


def test_login_plain_with_initial_response_and_scram(running: Server) -> None:
    assert answer(running, PASSWORD) == "OK"
    assert scram(running, PASSWORD) == "OK"
    assert answer(running, PASSWORD, "POSTMASTER@example.test") == "OK"
    client = connect(running)
    response = base64.b64encode(f"\0{ADDRESS}\0{PASSWORD}".encode())
    client.send(b"x AUTHENTICATE PLAIN " + response + b"\r\n")
    assert client.readline().startswith(b"x OK [CAPABILITY IMAP4rev1")
    client.shutdown()


def test_t_auth_03_04_refusals_look_alike(running: Server) -> None:
    replies, times = set(), []
    for name, password in ((ADDRESS, "wrong"), ("nobody@example.test", PASSWORD), (ADDRESS, f"{PASSWORD}$123456")):
        start = time.monotonic()
        replies.add(answer(running, password, name))
        times.append(time.monotonic() - start)
    assert replies == {"[AUTHENTICATIONFAILED] Authentication failed"}
    assert min(times) >= 0.3
    running.run("account", "unlock", ADDRESS)


def test_t_auth_10_a_removed_account_is_nobodys_at_once(running: Server) -> None:
    running.add_account("gone@example.test")
    running.run("account", "address", "add", "leaving@example.test", "gone@example.test")
    made = cast(dict[str, str], running.json("account", "app-password", "add", "gone@example.test", "phone"))
    for name in ("gone@example.test", "leaving@example.test"):
        assert answer(running, PASSWORD, name) == answer(running, made["password"], name) == "OK"
    running.run("try", "send", "--to", "gone@example.test")
    assert len(running.wait_for(1, account="gone@example.test")) == 1

    refused = running.run("account", "remove", "gone@example.test", check=False)
    assert refused.returncode == 64 and "add --yes" in refused.stderr
    removed = cast(dict[str, str], running.json("account", "remove", "gone@example.test", "--yes"))
    assert list(Path(removed["mail"]).glob("*")) and Path(removed["mail"]).is_relative_to(running.folder / "data")
    for name in ("gone@example.test", "leaving@example.test"):
        assert "AUTHENTICATIONFAILED" in answer(running, PASSWORD, name)
        assert "AUTHENTICATIONFAILED" in answer(running, made["password"], name)
        assert running.send(b"Subject: late\r\n\r\n", to=(name,))[0] == 550

    running.add_account("gone@example.test")
    assert answer(running, made["password"], "gone@example.test") != "OK"
    assert running.messages(account="gone@example.test") == []  # who comes next does not read the mail of who was there


def test_rfc_5321_4_5_1_postmaster_of_every_domain_is_taken(running: Server) -> None:
    running.add_account("carl@hosted.test")
    running.run("domain", "add", "aaa.test")
    running.run("domain", "add", "own.test", "--postmaster", "carl@hosted.test")
    for recipient in ("postmaster", "Postmaster@example.test", "postmaster@aaa.test", "abuse@hosted.test", "abuse@own.test"):
        with running.smtp() as client:
            client.ehlo()
            client.mail("")
            assert client.docmd("RCPT", f"TO:<{recipient}>")[0] == 250, recipient
    running.run("try", "send", "--to", "postmaster@own.test")
    assert len(running.wait_for(1, account="carl@hosted.test")) == 1
    listed = cast(list[dict[str, object]], running.json("account", "address", "list"))
    assert {"further": "abuse@own.test", "address": "carl@hosted.test", "given": True} in listed
    assert {"further": "abuse@aaa.test", "address": ADDRESS, "given": False} in listed


def test_t_2fa_06_app_passwords(running: Server) -> None:
    running.add_account("phone@example.test")
    made = running.json("account", "app-password", "add", "phone@example.test", "my phone", "--scope", "imap", "--expires", "90d")
    assert isinstance(made, dict)
    assert (made["name"], made["scopes"]) == ("my phone", ["imap"])
    secret = made["password"]
    assert answer(running, secret, "phone@example.test") == "OK"
    assert answer(running, secret.upper().replace("-", " "), "phone@example.test") == "OK"
    assert scram(running, secret, "phone@example.test") == "OK"
    shown = running.run("account", "app-password", "list", "phone@example.test").stdout
    assert "my phone" in shown and secret not in shown
    (listed,) = cast(list[dict[str, object]], running.json("account", "app-password", "list", "phone@example.test"))
    assert listed["last_used_at"] and listed["expires_at"] and "password" not in listed
    running.run("account", "app-password", "revoke", "phone@example.test", "my phone")
    assert "AUTHENTICATIONFAILED" in answer(running, secret, "phone@example.test")
    assert "AUTHENTICATIONFAILED" in scram(running, secret, "phone@example.test")
    assert answer(running, PASSWORD, "phone@example.test") == "OK"


def test_t_2fa_06_what_is_taken_back_ends_its_sessions(running: Server) -> None:
    address = "live@example.test"
    running.add_account(address)
    made = cast(dict[str, str], running.json("account", "app-password", "add", address, "phone"))
    by_phone, by_password = Sessions(running, address, made["password"]), Sessions(running, address, PASSWORD, pop3=False)
    assert by_phone.may_send() and by_password.may_send()
    by_phone.idle()
    running.run("account", "app-password", "revoke", address, "phone")
    by_phone.wait_ended()
    assert by_password.may_send() and by_password.imap.noop()[0] == "OK", "opened with another secret"
    by_password.idle()
    running.run("account", "password", address, "--password-stdin", stdin="another one\n")
    by_password.wait_ended()
    assert answer(running, "another one", address) == "OK"


class Sessions:
    """One of each protocol, opened with one password."""

    def __init__(self, to: Server, address: str, password: str, *, pop3: bool = True) -> None:
        self._address = address
        self.imap = connect(to)
        self.imap.login(address, password)
        self._pop3 = poplib.POP3_SSL("127.0.0.1", to.port("pop3s"), context=to.tls(), timeout=30) if pop3 else None
        if self._pop3 is not None:
            self._pop3.user(address)
            self._pop3.pass_(password)
        self._smtp = to.submission(address, password)

    def may_send(self) -> bool:
        code, _ = self._smtp.mail(self._address)
        self._smtp.rset()
        return code == 250

    def idle(self) -> None:
        self.imap.send(b"x IDLE\r\n")
        assert self.imap.readline().startswith(b"+")

    def wait_ended(self) -> None:
        begin = time.monotonic()
        assert self.imap.readline() == b"* BYE The login of this session is no longer good\r\n"
        assert self.imap.readline() == b""
        if self._pop3 is not None:
            assert self._pop3.sock.recv(100) == b""
        assert time.monotonic() - begin < 20
        assert self._smtp.mail(self._address) == (421, b"4.7.0 The login of this session is no longer good")


def test_t_2fa_06_an_app_password_for_another_protocol_is_refused(running: Server) -> None:
    made = cast(dict[str, str], running.json("account", "app-password", "add", ADDRESS, "scanner", "--scope", "smtp,pop3"))
    assert "AUTHENTICATIONFAILED" in answer(running, made["password"])
    running.run("account", "unlock", ADDRESS)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("add", ADDRESS, "x", "--scope", "http"), 64, "--scope takes some of smtp,imap,pop3,managesieve"),
        (("add", ADDRESS, "x", "--expires", "soon"), 64, "30m, 2h or 7d"),
        (("add", ADDRESS, "a\nb"), 64, "printable"),
        (("add", "nobody@example.test", "x"), 66, "nobody's mailbox"),
        (("revoke", ADDRESS, "none"), 66, "no app password 'none'"),
    ],
)
def test_app_password_commands_say_what_is_wrong(running: Server, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = running.run("account", "app-password", *arguments, check=False)
    assert done.returncode == code and said in done.stderr


def test_t_2fa_04_with_a_second_factor_mail_programs_need_app_passwords(running: Server) -> None:
    running.add_account("eve@example.test")
    made = cast(dict[str, str], running.json("account", "app-password", "add", "eve@example.test", "phone"))
    assert answer(running, PASSWORD, "eve@example.test") == "OK"
    enrolled = cast(dict[str, str], running.json("account", "totp", "enrol", "eve@example.test"))
    code = pyotp.TOTP(enrolled["secret"]).now()
    running.run("account", "totp", "confirm", "eve@example.test", code)
    for password in (PASSWORD, f"{PASSWORD}${pyotp.TOTP(enrolled['secret']).now()}"):
        assert "AUTHENTICATIONFAILED" in answer(running, password, "eve@example.test")
        assert "AUTHENTICATIONFAILED" in scram(running, password, "eve@example.test")
    running.run("account", "unlock", "eve@example.test")
    assert answer(running, made["password"], "eve@example.test") == "OK"
    assert scram(running, made["password"], "eve@example.test") == "OK"


def test_t_2fa_05_a_code_behind_the_password_where_the_policy_allows_it(running: Server) -> None:
    policy = running.folder / "policies/access.yaml"
    policy.write_text("version: 1\nextends: mailward/access\nplugins:\n  totp: {code_after_password: true}\n")
    running.reload()
    running.add_account("frank@example.test")
    enrolled = cast(dict[str, str], running.json("account", "totp", "enrol", "frank@example.test"))
    codes = pyotp.TOTP(enrolled["secret"])
    running.run("account", "totp", "confirm", "frank@example.test", codes.now())
    code = codes.at(time.time() + 30)  # each counts once, and clocks may differ by so much
    assert answer(running, f"{PASSWORD}${code}", "frank@example.test") == "OK"
    for password in (PASSWORD, f"{PASSWORD}{code}", f"{PASSWORD}${code}"):
        assert "AUTHENTICATIONFAILED" in answer(running, password, "frank@example.test"), "the code was used"
    running.run("account", "unlock", "frank@example.test")
    policy.unlink()
    running.reload()


def test_a_changed_password_counts_at_the_next_login(running: Server) -> None:
    running.add_account("carol@example.test")
    assert answer(running, PASSWORD, "carol@example.test") == "OK"
    running.run("account", "password", "carol@example.test", "--password-stdin", stdin="another one\n")
    assert "AUTHENTICATIONFAILED" in answer(running, PASSWORD, "carol@example.test")
    assert answer(running, "another one", "carol@example.test") == scram(running, "another one", "carol@example.test") == "OK"


def test_t_auth_01_unlock(running: Server) -> None:
    running.add_account("dave@example.test")
    for _ in range(6):
        assert "AUTHENTICATIONFAILED" in answer(running, "wrong", "dave@example.test")
    running.run("account", "unlock", "dave@example.test")
    start = time.monotonic()
    assert answer(running, PASSWORD, "dave@example.test") == "OK"
    assert time.monotonic() - start < 20


def test_t_auth_11_the_log_has_no_password(running: Server) -> None:
    answer(running, "hunter2-typed", "hunter2-as-name@example.test")
    scram(running, "hunter2-typed")
    running.run("account", "unlock", ADDRESS)
    log = (running.folder / "server.log").read_text()
    assert "login refused" in log and "hunter2" not in log and PASSWORD not in log


def test_the_other_processes_never_hold_a_hash(running: Server) -> None:
    """What takes octets from strangers has no hash in its memory, even after logins."""
    assert answer(running, PASSWORD) == "OK"
    database = sqlite3.connect(running.folder / "data/directory.sqlite")
    (password_hash,) = database.execute("SELECT password_hash FROM credential LIMIT 1").fetchone()
    database.close()
    needle = password_hash.encode()[-43:]
    for role in ("smtp", "access"):
        assert all(needle not in memory(pid) for pid in running.worker_pids(role)), role
    assert needle in memory(running.worker_pids("auth")[-1]), "and this is how it would be found"


def memory(pid: int) -> bytes:
    """What a process of ours has written to its memory."""
    found = []
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as octets:
        for line in maps:
            place, mode, _, _, _, *name = line.split(None, 5)
            if mode.startswith("rw") and not (name and name[0].startswith("[v")):
                start, end = (int(number, 16) for number in place.split("-"))
                octets.seek(start)
                try:
                    found.append(octets.read(end - start))
                except OSError:
                    continue
    return b"".join(found)


def test_without_the_auth_process_logins_wait_and_it_comes_back() -> None:
    with server() as one:
        assert answer(one, PASSWORD) == "OK"
        client = connect(one)
        (pid,) = one.worker_pids("auth")
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        assert answer(one, PASSWORD) == "OK", "it waits for the next one"
        assert len(one.worker_pids("auth")) == 2
        assert client.login(ADDRESS, PASSWORD)[0] == "OK", "a session from before goes on"
        client.shutdown()
        socket = one.folder / "data/run/auth.sock"
        socket.rename(socket.with_name("away.sock"))
        os.kill(one.worker_pids("access")[-1], signal.SIGKILL)  # so that its connection to the socket is gone too
        one.until(lambda: len(one.worker_pids("access")) == 2 and can_connect(one))
        assert "[UNAVAILABLE]" in answer(one, PASSWORD) and "[UNAVAILABLE]" in scram(one, PASSWORD)
        socket.with_name("away.sock").rename(socket)
        assert answer(one, PASSWORD) == "OK"


def can_connect(to: Server) -> bool:
    try:
        connect(to).shutdown()
    except OSError:
        return False
    return True


def test_unlock_without_a_server_says_so() -> None:
    with server(start=False) as one:
        done = one.run("account", "unlock", ADDRESS, check=False)
        assert done.returncode == 70 and "nothing is locked" in done.stderr


def test_nobody_logs_in_to_a_disabled_account_its_sessions_end_and_its_mail_still_comes(running: Server) -> None:
    running.add_account("erin@example.test")
    made = running.json("account", "app-password", "add", "erin@example.test", "phone")["password"]
    open_session = running.imap("erin@example.test")
    running.run("account", "disable", "erin@example.test")
    with pytest.raises(imaplib.IMAP4.abort, match="The login of this session is no longer good"):
        running.until(lambda: open_session.noop()[0] != "OK")
    wrong = answer(running, "wrong", "erin@example.test")
    for refused in (answer(running, PASSWORD, "erin@example.test"), answer(running, made, "erin@example.test")):
        assert refused == wrong
    assert "AUTHENTICATIONFAILED" in scram(running, PASSWORD, "erin@example.test")
    assert 'user=erin@example.test tls=TLSv1.3 why="the account is disabled"' in running.log()
    code, text = running.send(b"Subject: still\r\n\r\nx\r\n", to=["erin@example.test"])
    assert code == 250
    running.wait_delivered(text.rpartition(" ")[2])
    assert {one["address"]: one["disabled"] for one in running.json("account", "list")}["erin@example.test"] is True
    assert running.json("account", "show", "erin@example.test")["disabled"] is True
    running.run("account", "enable", "erin@example.test")
    assert answer(running, PASSWORD, "erin@example.test") == answer(running, made, "erin@example.test") == "OK"
