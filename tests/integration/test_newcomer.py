"""What a newcomer tries next, in closer view; test_first_run.py goes the way from the clone to there."""

import json
import re
import time

from support.server import server


def test_the_eicar_test_file_is_refused_and_explained() -> None:
    with server() as target:
        refused = target.run("try", "send", "--eicar", check=False)
        assert refused.returncode == 1
        assert refused.stdout.startswith("554 5.7.1 ")
        explained = target.explain()
        assert explained.startswith("REJECT  demo@example.test   rule infected (")
        record = target.decision()
        assert record["facts"]["antivirus.infected"] is True
        assert target.messages() == []


def test_points_of_an_explained_message_add_up() -> None:
    with server() as target:
        code, _ = target.send(b"Subject: THIS IS ALL IN CAPITALS\r\n\r\nbody\r\n")
        assert code == 250
        record = target.decision()
        points = sum(f["points"] for call in record["calls"] for f in call["findings"] if call["status"] == "ok")
        assert record["recipients"][0]["score"] == points
        assert points > 0


def test_sigterm_ends_the_server_cleanly_and_a_second_start_serves_the_same_mail() -> None:
    with server() as target:
        target.run("try", "send")
        target.wait_for(1)
        assert target.terminate() == 0
        target.start()
        assert len(target.messages()) == 1


def test_exit_codes_tell_what_went_wrong() -> None:
    with server(start=False) as target:
        for arguments, code in (
            (("scan",), 64),
            (("nosuch",), 64),
            (("scan", "/nonexistent"), 66),
            (("explain", "last"), 66),
            (("account", "password", "nobody@example.test", "--password-stdin"), 66),
            (("account", "add", "demo@example.test", "--password-stdin"), 64),
            (("quickstart", "x", "--domain", "example.test", "--account", "alice", "--password-stdin"), 64),
            (("quickstart", "x", "--domain", "no domain", "--account", "alice@example.test", "--password-stdin"), 64),
            (("account", "remove", "nobody@example.test", "--yes"), 66),
            (("account", "remove", "postmaster@example.test", "--yes"), 64),
            (("account", "address", "remove", "nobody@example.test"), 66),
            (("account", "address", "add", "demo@example.test", "nobody@example.test"), 66),
            (("domain", "remove", "elsewhere.test", "--yes"), 66),
            (("domain", "remove", "example.test", "--yes"), 64),
            (("policy", "check", "-c", "/nonexistent"), 78),
            (("try", "send"), 70),
        ):
            assert target.run(*arguments, stdin="long enough\n", check=False).returncode == code, arguments


def test_try_send_names_the_record_of_every_refusal_and_none_where_there_is_none() -> None:
    with server() as target:
        target.run("try", "send")
        refused = target.run("try", "send", "--to", "nobody@example.test", check=False)
        assert refused.returncode == 1 and refused.stdout.startswith("550 5.1.1 ")
        [id] = re.findall(r"mailward explain (\w{16})   says why", refused.stdout)
        explained = target.explain(id)
        assert explained.startswith("REJECT  nobody@example.test   the server itself: unknown mailbox")
        wrong = target.run("try", "send", "--from", "demo@example.test", "--password-stdin", stdin="wrong\n", check=False)
        assert wrong.returncode == 1 and wrong.stdout.startswith("535 ")
        assert "explain" not in wrong.stdout and "app password" in wrong.stdout
        assert target.log_octets().count(b"login refused") == 1, "one wrong password is one failed login"
        nobody = target.run("try", "send", "--from", "eve@example.net", check=False)
        assert nobody.returncode == 66 and "is no account here" in nobody.stderr
        assert "mailward try send --mail-from eve@example.net" in nobody.stderr
        wrong = target.run("try", "read", "--password-stdin", stdin="wrong\n", check=False)
        assert "says: [AUTHENTICATIONFAILED]" in wrong.stderr and "app password" in wrong.stderr


CARD = """\
From: =?utf-8?q?J=C3=BCrgen?= <jurgen@example.net>
To: demo@example.test
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Date: Thu, 1 Jan 2026 00:00:00 +0000
Message-ID: <card@example.net>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Sch=C3=B6ne Gr=C3=BC=
=C3=9Fe
"""


def test_a_message_of_ones_own_is_sent_as_it_is_and_read_decoded() -> None:
    with server() as target:
        card = target.folder / "card.eml"
        card.write_text(CARD)
        sent = json.loads(target.run("try", "send", "--file", str(card), "--json").stdout)
        assert sent["message_id"] == "<card@example.net>"
        target.wait_for(1)
        read = target.run("try", "read", "--password-file", target.password_file).stdout
        assert "Subject: Grüße\n" in read and read.endswith("\n\nSchöne Grüße\n")
        refused = target.run("try", "send", "--file", str(card), "--eicar", check=False)
        assert refused.returncode == 64


def test_a_scan_promises_no_record_and_minds_what_it_is_given() -> None:
    with server(start=False) as target:
        card = target.folder / "card.eml"
        card.write_text(CARD)
        scanned = target.run("scan", str(card))
        assert "  would reply 250 2.0.0 Accepted\n" in scanned.stdout and "  id  " not in scanned.stdout
        assert "looks like no message" not in scanned.stderr
        given = target.run("scan", str(card), "--mail-from", "a@example.net", "--rcpt", "bob@example.test").stdout
        assert "bob@example.test" in given and "from <a@example.net>" in given and "Not given: --ip, --helo" in given
        wrong = target.run("scan", str(card), "--ip", "203.0.113.777", check=False)
        assert wrong.returncode == 64 and "203.0.113.777" in wrong.stderr
        assert "looks like no message" in target.run("scan", str(target.config), check=False).stderr


def test_reload_finds_the_server_checks_first_and_names_what_waits_for_a_restart() -> None:
    with server(start=False) as target:
        assert target.run("reload", check=False).returncode == 66
        target.start()
        target.configure("routes: {}", "routes: {void.example: discard}")
        told = target.json("reload")
        assert target.process is not None and told == {"pid": target.process.pid, "warnings": []}
        deadline = time.monotonic() + 20
        while target.log_octets().count(b"reloaded") < 4:
            assert time.monotonic() < deadline, target.log()
            time.sleep(0.05)
        assert "settings=routes" in next(line for line in target.log().splitlines() if "wait for a restart" in line)
        key = target.folder / "tls/key.pem"
        key.chmod(0o644)
        refused = target.run("reload", check=False)
        assert refused.returncode == 78 and f"chmod 600 {key}" in refused.stderr
        target.reload(expect="reload refused")
        assert f"chmod 600 {key}" in target.log()
        second = target.run("serve", check=False)
        assert second.returncode == 78 and "cannot listen" in second.stderr


def test_a_wrong_policy_is_no_list_of_plugins_that_are_not_enabled() -> None:
    with server(start=False) as target:
        sound = target.run("policy", "check").stdout
        assert "plugins, 1 live test: run mailward policy test\n" in sound and "0 tests" not in sound
        target.policy("version: 1\nextends: mailward/inbound\nruls: []\n")
        listed = target.run("plugins", "list", check=False)
        assert listed.returncode == 78 and "not known" in listed.stdout
        assert "policy inbound is wrong" in listed.stderr and "mailward policy check" in listed.stderr
        assert target.run("plugins", "info", "spf", check=False).returncode == 78


def test_what_to_type_is_not_printed_for_a_server_that_cannot_start() -> None:
    with server() as target:
        refused = target.run("try", "commands", check=False)
        assert refused.returncode == 78 and refused.stdout == "" and "cannot listen" in refused.stderr
        assert target.terminate() == 0
        assert target.run("try", "commands").stdout.count("account") == 1
