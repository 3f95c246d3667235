"""What the pages tell a reader to type is typed here: the commands of each page, in its order, against a real server."""

import json
import mailbox
import os
import poplib
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyotp
import pytest
import yaml

from mailward.app.config_file import load_config
from support.dns_server import DnsServer
from support.reader import DOCS, Reader, blocks, page_text
from support.relayed import relay_to
from support.server import COMMAND, PASSWORD, Server, free_offset, open_folder, server
from support.smtp_peer import peer

TYPED_PASSWORD = PASSWORD + "\n"
KEEPS_WHAT_IS_ODD = """version: 1
extends: mailward/inbound
plugins: {antivirus: {engine: test-file}}
rules: [{name: odd, when: 'message.subject.contains("odd")', then: quarantine}]
"""


def mail(subject: str) -> bytes:
    return f"From: demo@example.org\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n\r\nhello\r\n".encode()


def test_the_first_filter_tutorial_works_as_printed(tmp_path: Path) -> None:
    with server() as target:
        (tmp_path / "run").symlink_to(target.folder)
        environment = {**os.environ, "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}"}

        def type_in(line: str) -> str:
            done = subprocess.run(
                ["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode in (0, 1), f"{line}\n{done.stdout}\n{done.stderr}"
            return done.stdout

        new, check, make_and_scan, test = (
            re.findall(r"^\$ (.*)$", block, re.MULTILINE) for block in blocks("tutorials/first-filter.md", "console")
        )
        assert "acme_dlp.py" in type_in(new[0])
        module, tests = blocks("tutorials/first-filter.md", "python")
        (target.folder / "plugins/acme_dlp.py").write_text(module)
        policy = target.folder / "policies/inbound.yaml"
        (entry,) = blocks("tutorials/first-filter.md", "yaml")
        policy.write_text(policy.read_text().replace("plugins:\n", "plugins:\n" + entry))
        assert "sound" in type_in(check[0])
        for line in make_and_scan:
            shown = type_in(line)
        assert re.search(r"ACME_DLP_CARDS +\+3\.0", shown)
        assert target.process is not None
        target.process.send_signal(signal.SIGHUP)
        target.reload()
        assert "250" in target.run("try", "send").stdout
        (target.folder / "plugins/tests/test_acme_dlp.py").write_text(tests)
        environment["PYTEST_ADDOPTS"] = "-k 'not TestConformance'"  # the package of the other tutorial is put through that
        assert "3 passed" in type_in(test[0])


def test_a_server_is_set_up_as_the_page_says(tmp_path: Path) -> None:
    folder = open_folder()
    made = Server(folder / "etc", free_offset(), "example.org")
    reader = Reader("how-to/set-up-a-server.md", made, tmp_path)
    reader.stands_for = {"/etc/mailward": str(made.folder)}
    try:
        printed = reader.types("quickstart", more=f"--port-offset {made.offset} --password-stdin", answer=TYPED_PASSWORD)
        records = reader.types("domain dns")
        assert all(name in printed and name in records for name in ("_dmarc.example.org.", "._domainkey.example.org."))
        made.configure("routes: {}", 'routes: {"*": discard}')  # nothing leaves this machine
        assert reader.reads("serve") == f"mailward serve -c {made.config}"
        made.start()
        reader.types("account add", more="--password-stdin", answer=TYPED_PASSWORD)
        assert re.findall(r"^\S+@\S+", reader.types("account list"), re.MULTILINE) == ["alice@example.org", "bob@example.org"]
        assert reader.types("account show").startswith("account          bob@example.org, id ")
        reader.types("account password", more="--password-stdin", answer=TYPED_PASSWORD)
        made.passwords["bob@example.org"] = reader.types("account app-password add").split()[0]
        made.imap("bob@example.org").logout()
        assert "phone" in reader.types("account app-password list")
        assert "revoked" in reader.types("account app-password revoke")
        assert "unlocked" in reader.types("account unlock")
        reader.types("account address add")
        assert re.search(r"(?m)^sales@example.org +bob@example.org$", reader.types("account address list"))
        reader.types("account address remove")
        assert "nobody can log in" in reader.types("account disable")
        assert "can log in" in reader.types("account enable")
        assert "its mail stays in" in reader.types("account remove bob@example.org")
        assert "postmaster@example.com goes to alice@example.org" in reader.types("domain add")
        reader.types("account add carol@example.com", more="--password-stdin", answer=TYPED_PASSWORD)
        reader.types("account remove carol@example.com")
        assert "its keys stay in" in reader.types("domain remove")
        assert reader.types("try send", more=f"--password-file {made.password_file}").startswith("250 ")
        reader.is_through()
    finally:
        made.stop()
        shutil.rmtree(folder)


def test_an_account_gets_a_second_factor_as_the_page_says(tmp_path: Path) -> None:
    with server(domain="example.org") as made:
        alice = "alice@example.org"
        made.add_account(alice)
        reader = Reader("how-to/second-factor.md", made, tmp_path)
        enrolled = re.search(r"^secret: (\w+)$", reader.types("account totp enrol"), re.MULTILINE)
        assert enrolled is not None
        codes = pyotp.TOTP(enrolled[1])
        reader.stands_for = {"123456": codes.now()}
        recovery = re.findall(r"^  (\S+)$", reader.types("account totp confirm"), re.MULTILINE)
        assert len(recovery) == 10
        app_password = reader.types("account app-password add").split()[0]
        (policy,) = blocks("how-to/second-factor.md", "yaml")
        (made.folder / "policies/access.yaml").write_text(policy)
        made.reload()
        for password in (app_password, f"{PASSWORD}${codes.at(time.time() + 30)}", f"{PASSWORD}${recovery[0]}"):
            made.passwords[alice] = password
            made.imap(alice).logout()
        assert "recovery codes left: 9" in reader.types("account totp status")
        assert recovery[1] not in reader.types("account totp recovery")
        reader.types("account totp off")
        made.passwords[alice] = PASSWORD
        made.imap(alice).logout()
        reader.is_through()


def test_a_group_gets_rules_as_the_page_says(tmp_path: Path) -> None:
    page = "how-to/rules-for-a-group.md"
    (overrides,) = (yaml.safe_load(text) for text in blocks(page, "yaml"))
    policy = {"version": 1, "extends": "mailward/inbound", "plugins": {"antivirus": {"engine": "test-file"}}, **overrides}
    with server(domain="example.org", policy=KEEPS_WHAT_IS_ODD) as made:
        for name in ("alice", "bob", "carol"):
            made.add_account(f"{name}@example.org")
        made.run("alias", "add", "sales@example.org", "bob@example.org", "demo@example.org")
        reader = Reader(page, made, tmp_path, "mailward group remove finance --all")

        def verdict(to: str) -> str:
            code, text = made.send(mail("a wire transfer"), to=[f"{to}@example.org"])
            assert code == 250, text
            return made.explain(text.rpartition(" ")[2]).split()[0]

        assert reader.types("group add") == "finance: alice@example.org, carol@example.org\n"
        reader.types("group list")
        made.policy(yaml.safe_dump(policy))
        reader.types("policy check")
        assert re.search(r"^  finance +holds", reader.types("policy show"), re.MULTILINE)
        for_bob = made.run("policy", "show", "--effective", "--for", "bob@example.org").stdout
        assert re.search(r"^  finance +does not hold: recipient", for_bob, re.MULTILINE)
        reader.types("reload")
        assert [verdict(who) for who in ("alice", "bob", "sales", "carol")] == ["QUARANTINE", "ACCEPT", "ACCEPT", "QUARANTINE"]
        reader.types("group add finance bob@example.org")
        assert reader.types("group show").splitlines() == [f"{name}@example.org" for name in ("alice", "bob", "carol")]
        reader.types("group remove")
        assert [verdict(who) for who in ("alice", "bob", "sales", "carol")] == ["QUARANTINE"] * 3 + ["ACCEPT"]
        scanned = made.run("scan", "-", "--rcpt", "sales+x@example.org", stdin="Subject: a wire transfer\r\n\r\n", check=False)
        assert scanned.returncode == 2, scanned.stdout
        assert reader.types("group list --of") == "finance  alice@example.org, bob@example.org\n"
        reader.is_through()


def test_a_sender_is_blocked_as_the_page_says(tmp_path: Path) -> None:
    page = "how-to/block-a-sender.md"
    (wanted,) = (yaml.safe_load(text) for text in blocks(page, "yaml"))
    policy = {"version": 1, "extends": "mailward/inbound", "plugins": {"antivirus": {"engine": "test-file"}}, **wanted}
    with server(domain="example.org", policy=KEEPS_WHAT_IS_ODD) as made:
        reader = Reader(page, made, tmp_path, "mailward explain --rule blocked-senders", "mailward policy replay")

        def codes(sender: str) -> set[int]:
            """Of several connections, which several processes take."""
            return {made.send(mail("hello"), to=[made.demo], sender=sender)[0] for _ in range(3)}

        made.policy(yaml.safe_dump(policy))
        reader.types("policy check")
        reader.types("reload")
        assert codes("eve@example.net") == {250}
        assert re.fullmatch(r"blocked: eve@example\.net added, until .*\n", reader.types("list add"))
        assert codes("Eve@example.net") == {550} and codes("bob@example.net") == {250}
        assert re.search(r"eve@example\.net +until .*  invoices with macros, ticket 4711\n", reader.types("list show"))
        assert reader.types("try send --mail-from eve", code=1).startswith(
            "550 5.7.1 Mail of this sender is not taken at present"
        )
        assert reader.types("try send").startswith("250 ")
        assert reader.types("list find").startswith("blocked  eve@example.net  until ")
        reader.types("list remove")
        removed, added = reader.types("list show blocked --changes").splitlines()
        assert re.search(r" removed +eve@example\.net +apologised$", removed) and " added " in added
        assert codes("eve@example.net") == {250}
        (tmp_path / "senders.txt").write_text("# old ones\nmallory@example.net\nno address\n")
        reader.types("list import", code=64)
        (tmp_path / "senders.txt").write_text("# old ones\nmallory@example.net  # why\n")
        assert (
            "mallory@example.net added, for good" in made.run("list", "import", "blocked", str(tmp_path / "senders.txt")).stdout
        )
        assert codes("mallory@example.net") == {550}
        assert "the list blocked has changed since, last at " in made.run("policy", "replay", check=False).stdout
        reader.is_through()


def test_some_mail_gets_rules_as_the_page_says(tmp_path: Path) -> None:
    page = "how-to/rules-for-some-mail.md"
    overrides, submission, access = blocks(page, "yaml")
    plugins = {"antivirus": {"engine": "test-file"}}
    inbound = {"version": 1, "extends": "mailward/inbound", "plugins": plugins, **yaml.safe_load(overrides)}
    (tmp_path / "message.eml").write_bytes(mail("hello"))
    with server(domain="example.org", policy=yaml.safe_dump(inbound, sort_keys=False)) as made:
        for name in ("alice", "guest"):
            made.add_account(f"{name}@example.org")
        (made.folder / "policies/submission.yaml").write_text(submission)
        (made.folder / "policies/access.yaml").write_text(access)
        reader = Reader(page, made, tmp_path)
        assert reader.types("group add") == "guests: guest@example.org\n"
        assert "warning" not in reader.types("policy check")
        assert re.search(r"^  partner +holds", reader.types("policy show --effective"), re.MULTILINE)
        assert re.search(r"^  inside +does not hold: network", reader.types("policy show --direction access"), re.MULTILINE)
        assert "rule partners-are-not-junk" in reader.types("scan message.eml --ip")
        assert "rule guests-write-to-us" in reader.types("scan message.eml --identity", code=1)
        reader.types("reload")
        code, text = made.submit(mail("out"), "bob@example.net", account="guest@example.org")
        assert (code, "Guests can write to people here" in text) == (550, True), text
        reader.is_through()

        def logs_in_by_pop3() -> None:
            client = poplib.POP3_SSL("127.0.0.1", made.port("pop3s"), context=made.tls(), timeout=60)
            client.user("alice@example.org")
            client.pass_(made.password("alice@example.org"))
            client.quit()

        logs_in_by_pop3()
        (made.folder / "policies/access.yaml").write_text(access.replace(", 127.0.0.0/8", ""))
        made.reload()
        with pytest.raises(poplib.error_proto, match="AUTH"):
            logs_in_by_pop3()


def test_keys_are_made_and_changed_as_the_page_says(tmp_path: Path, dns_server: DnsServer) -> None:
    with server(domain="example.org", start=False) as made:
        host, port = dns_server.address
        made.config.write_text(re.sub(r"(?m)^dns: .*", f'dns: {{servers: ["{host}:{port}"]}}', made.config.read_text()))
        reader = Reader("how-to/dkim-keys.md", made, tmp_path)
        added = reader.types("domain add")
        reader.types("account add", more="--password-stdin", answer=TYPED_PASSWORD)
        assert added.endswith(reader.types("domain dns"))
        old = re.findall(r"(?m)^example\.org +(\S+), (\S+)$", reader.types("domain list"))
        reader.types("domain key rotate example.org")
        reader.types("domain dns example.org --check", code=1)
        dns_server.publish("example.org", made.run("domain", "dns", "example.org").stdout)
        assert "these keys sign now" in reader.types("domain key activate example.org")
        reader.types("domain key retire example.org", code=70)
        listed = reader.types("domain key list example.org")
        assert all(re.search(rf"(?m)^{selector} +signed before", listed) for selector in old[0])
        assert reader.types("domain key retire example.org --now").startswith(f"deleted: {', '.join(old[0])};")
        reader.is_through()


def test_a_filter_and_a_rule_are_tried_as_the_page_says(tmp_path: Path) -> None:
    page = "how-to/try-a-filter-or-rule.md"
    in_shadow, canary, counting = (yaml.safe_load(text) for text in blocks(page, "yaml"))
    cards = b"From: a@example.net\r\nMessage-ID: <c@example.net>\r\n\r\n4111 1111 1111 1111, 5500 0000 0000 0004\r\n"
    zipped = "From: a@example.net\r\nMessage-ID: <z@example.net>\r\nContent-Type: application/zip; name=a.zip\r\n\r\nPK\r\n"
    with server(domain="example.org", start=False) as made:

        def write(policy: dict[str, Any]) -> None:
            plugins = {"antivirus": {"engine": "test-file"}, **policy["plugins"]}
            made.policy(yaml.safe_dump({"version": 1, "extends": "mailward/inbound", **policy, "plugins": plugins}))

        (made.folder / "plugins/acme_dlp.py").write_text(blocks("tutorials/first-filter.md", "python")[0])
        (tmp_path / "message.eml").write_bytes(cards)
        reader = Reader(page, made, tmp_path)
        write({"plugins": {}})
        made.start()
        write(in_shadow)
        assert "shadow: with plugin acme_dlp: QUARANTINE   rule card-numbers" in reader.types("scan")
        assert "  in shadow: plugin acme_dlp, rule zip-files\n" in reader.types("policy check")
        reader.types("reload")
        for octets in (cards, zipped.encode(), b"From: a@example.net\r\n\r\nhello\r\n"):
            code, text = made.send(octets, to=[made.demo])
            assert code == 250, text
            made.wait_delivered(text.rpartition(" ")[2])
        assert len(made.messages(account=made.demo)) == 3
        first = reader.types("policy shadow", code=1)
        assert re.search(r"(?m)^with all of it\n  accept -> quarantine +1 recipient\n  accept -> junk +1 recipient\n", first), (
            first
        )
        assert "   by plugin acme_dlp (ACME_DLP_CARDS)\n" in first
        assert reader.types("policy shadow", code=1).splitlines()[1:] == first.splitlines()[1:]
        worst = re.search(r"(?m)^Why .*: mailward explain (\S+)$", first)
        assert worst is not None
        reader.stands_for = {"01k9w3c5v7q2x8ab": worst[1]}
        assert "shadow: with plugin acme_dlp: QUARANTINE" in reader.types("explain")
        write(canary)
        reader.types("reload")
        assert "plugin acme_dlp (canary 5%), rule zip-files (canary 5%)" in made.run("policy", "check").stdout
        made.send(cards, to=[made.demo])
        assert re.search(r"(?m)^  canary: plugin acme_dlp: (not )?counted$", reader.types("explain last"))
        write(counting)
        reader.types("reload")
        assert made.send(cards, to=[made.demo])[0] == 250
        assert made.explain().startswith("QUARANTINE")
        reader.is_through()


def test_a_policy_is_rehearsed_as_the_page_says() -> None:
    page = "how-to/rehearse-a-policy.md"
    (new,) = (yaml.safe_load(text) for text in blocks(page, "yaml"))
    head = b"From: a@example.net\r\nTo: demo@example.org\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\n"
    with server(domain="example.org", start=False) as made:
        (made.folder / "plugins/acme_dlp.py").write_text(blocks("tutorials/first-filter.md", "python")[0])
        plugins = {"antivirus": {"engine": "test-file"}, "acme_dlp": {}}
        in_force = {"version": 1, "extends": "mailward/inbound", "plugins": plugins, "scores": {"ACME_DLP_CARDS": 4.2}}
        made.policy(yaml.safe_dump(in_force))
        made.start()
        for text in (b"4111 1111 1111 1111, 5500 0000 0000 0004", b"hello"):
            assert made.send(head + text + b"\r\n", to=[made.demo])[0] == 250
        (made.folder / "new").mkdir()
        for folder in (made.folder / "policies", made.folder / "new"):
            (folder / "inbound.yaml").write_text(yaml.safe_dump({**in_force, **new}))
        reader = Reader(page, made, made.folder)
        edited, beside = reader.types("policy replay", code=1), reader.types("policy replay", code=1)
        assert edited.splitlines()[2:8] == beside.splitlines()[2:8]
        assert re.search(r"(?m)^  accept -> junk +1 recipient\n  unchanged +1 recipient\n", edited), edited
        shown = re.search(
            r"(?m)^    ACCEPT -> JUNK   score 4.2 >= limits.junk 4 .*\n    it was   score 4.2; no rule matched", edited
        )
        assert shown, edited
        reader.stands_for = {"01k9w3c5v7q2x8ab": edited.rpartition(" ")[2].strip()}
        assert reader.types("explain").startswith("ACCEPT")
        told = reader.types("policy explain-rule")
        assert told.startswith("dmarc-policy   mailward/inbound.yaml:"), told
        assert re.search(
            r"(?m)^    dmarc\.result +text, known from message on +plugin dmarc \(enforce, mailward/inbound\.yaml:", told
        )
        assert made.run("policy", "explain-rule", "dmarc-polcy", check=False).stderr.endswith("Did you mean 'dmarc-policy'?\n")
        again = "plugins run again on 2 messages"  # once what is needed for it is written
        made.until(lambda: again in made.run("policy", "replay", "--deep", check=False).stdout)
        assert again in reader.types("policy replay --deep", code=1)
        assert "inbound: sound" in reader.types("policy check")
        reader.types("reload")
        made.until(lambda: b"event=reloaded" in made.log_octets())
        newest, oldest = re.findall(r"(?m)^([0-9a-f]{7}) ", reader.types("policy history"))
        reader.stands_for = {"8c1f0e2": oldest}
        assert re.search(r"(?m)^\+limits:", reader.types("policy diff", code=1))
        assert made.run("policy", "history").stdout.splitlines()[0].startswith(newest)
        file = made.folder / "policies/inbound.yaml"
        written = file.read_bytes()
        file.chmod(0o640)
        assert "was told to reload" in reader.types("policy rollback", more="--yes")
        assert yaml.safe_load(file.read_text()) == in_force
        kept = file.with_name("inbound.yaml.before-rollback")
        assert kept.read_bytes() == written and {one.stat().st_mode & 0o777 for one in (file, kept)} == {0o640}
        reader.is_through()


def test_the_queue_is_looked_after_as_the_page_says(tmp_path: Path) -> None:
    page = "how-to/look-into-the-queue.md"
    with server(domain="example.org", start=False) as made, peer({"RCPT": b"450 4.2.1 Try again later\r\n"}) as far:
        relay_to(made, {"example.net": far.port})
        made.start()
        code, text = made.submit(mail("hello"), "bob@example.net", account=made.demo)
        assert code == 250, text
        reader = Reader(page, made, tmp_path)
        reader.stands_for = {"ID": text.rpartition(" ")[2]}

        def attempts() -> int:
            return sum(message["recipients"][0]["failures"] for message in made.json("queue", "list"))

        made.until(lambda: attempts() == 1)
        shown = re.findall(r"^\$ .*\n(.*\n).*\n\n(.*)\n```", page_text(page), re.MULTILINE)
        listed = reader.types("queue list").splitlines()
        assert [tuple(line.split() for line in pair) for pair in shown] == [(listed[0].split(), listed[-1].split())]
        counted = reader.types("queue list --by domain").splitlines()
        assert counted[0].split() == blocks(page, "")[1].splitlines()[1].split() and counted[1].split()[:2] == [
            "example.net",
            "1",
        ]
        assert "450 4.2.1 Try again later" in reader.types("queue show")
        reader.types("queue retry")
        made.until(lambda: attempts() == 2)
        assert "held" in reader.types("queue hold")
        reader.types("queue release")
        made.until(lambda: attempts() == 3)
        reader.types("queue drop", more="--yes")
        assert made.run("queue", "list").stdout == "nothing waits\n"
        reader.types("queue retry --to example.net", code=66)
        reader.types("queue drop --from bulk@example.org", more="--yes", code=66)

        reader.types("queue hold --to example.net --future")
        code, text = made.submit(mail("later"), "bob@example.net", account=made.demo)
        made.until(lambda: "held: they are moving" in made.run("queue", "list").stdout)
        with peer() as second:
            reader.stands_for = {
                "mx2.example.net:25": f"127.0.0.1:{second.port}",
                "ID": text.rpartition(" ")[2],
                "192.0.2.7": "127.0.0.2",
            }
            assert f"mail to example.net goes to smtp:[127.0.0.1]:{second.port}" in reader.types("queue reroute --to example.net")
            assert "goes to smtp:[127.0.0.2]:25" in reader.types("queue reroute ID")
            shown = page_text(page).partition("$ mailward queue orders\n")[2].splitlines()[:3]
            told = reader.types("queue orders").splitlines()
            assert told[0].split() == shown[0].split()
            assert [line.partition("mailward")[2] for line in told[1:3]] == [line.partition("mailward")[2] for line in shown[1:3]]
            assert "rerouted to smtp:[127.0.0.2]:25" in made.run("queue", "show", reader.stands_for["ID"]).stdout
            blocked = made.run("queue", "release", reader.stands_for["ID"], check=False)
            assert blocked.returncode == 70 and "an order that stands holds it: mailward queue orders" in blocked.stdout
            made.run("queue", "reroute", reader.stands_for["ID"], "--clear")
            made.terminate()
            made.start()
            made.until(lambda: bool(made.json("queue", "list")))
            assert (
                "no longer held when it comes: mail to example.net" in made.run("queue", "release", "--to", "example.net").stderr
            )
            second.wait_for(1)
            made.run("queue", "reroute", "--to", "example.net", "--clear")
            assert made.run("queue", "orders").stdout == "no orders stand\n"
            assert "released" in reader.types("explain ID")
        reader.is_through()


def test_the_quarantine_is_looked_after_as_the_page_says(tmp_path: Path) -> None:
    with server(domain="example.org", policy=KEEPS_WHAT_IS_ODD) as made:
        made.add_account("bob@example.org")

        def keep(subject: str, *to: str) -> str:
            code, text = made.send(mail(subject), to=to)
            assert code == 250, text
            queue_id = text.rpartition(" ")[2]
            made.wait_delivered(queue_id, len(to))
            return queue_id

        reader = Reader("how-to/mail-in-quarantine.md", made, tmp_path)
        for_one, for_two = keep("odd-1", "bob@example.org"), keep("odd-2", "bob@example.org", made.demo)
        reader.stands_for = {"01k9w3c5v7q2x8ab": for_one}
        for options in ("", " --to bob@example.org"):
            listed = reader.types(f"quarantine list{options}")
            assert for_one in listed and f"{for_two}:0" in listed and (f"{for_two}:1" in listed) == (options == "")
        assert for_one in reader.types("quarantine list --why rule:odd")
        assert "odd-1" in reader.types("quarantine show")
        assert reader.types("explain").startswith("QUARANTINE  bob@example.org   rule odd")
        reader.types("quarantine release")
        assert b"Subject: odd-1\r\n" in made.wait_for(1, account="bob@example.org")[0]
        reader.stands_for = {"01k9w3c5v7q2x8ab": for_two}
        reader.types("quarantine release")
        assert b"Subject: odd-2\r\n" in made.wait_for(1, account=made.demo)[0], "postmaster is the first account"
        reader.types("quarantine drop", more="--yes")
        assert made.run("quarantine", "list").stdout == "nothing is in quarantine\n"

        (settings,) = blocks("how-to/mail-in-quarantine.md", "yaml")
        made.config.write_text(made.config.read_text() + settings)
        made.terminate()
        made.start()
        reader.stands_for = {"01k9w3c5v7q2x8ab": keep("odd-3", "bob@example.org")}
        assert re.search(r" user +quarantine by rule odd", reader.types("quarantine list --as"))
        assert "released by bob@example.org" in reader.types("quarantine release")
        keep("odd-4", "bob@example.org")
        assert "odd-4" in reader.types("quarantine digest")

        (tmp_path / "Maildir").mkdir()
        mailbox.Maildir(tmp_path / "Maildir/.Junk").add(mail("spam"))
        mailbox.mbox(tmp_path / "alice").add(mail("ham"))
        (tmp_path / "saved").mkdir()
        (tmp_path / "saved/one.eml").write_bytes(mail("more ham"))
        reader.stands_for = {"/var/mail": str(tmp_path)}
        reader.types("train spam")
        assert re.search(r"\b2\b", reader.types("train ham"))
        reader.is_through()


def test_mail_is_taken_back_as_the_page_says(tmp_path: Path) -> None:
    bob = "bob@example.org"
    with server(domain="example.org", policy=KEEPS_WHAT_IS_ODD) as made:
        made.add_account(bob)

        def send(octets: bytes, sender: str) -> str:
            code, text = made.send(octets, sender=sender, to=[bob])
            assert code == 250, text
            made.wait_delivered(text.rpartition(" ")[2].strip())
            return text.rpartition(" ")[2].strip()

        wave = send(mail("wave"), "a@paypa1.example")
        send(mail("offer").replace(b"demo@example.org", b"a@partner.example", 1), "a@partner.example")
        send(mail("odd-news"), "news@news.example")
        reader = Reader(
            "how-to/take-mail-back.md", made, tmp_path,
            "mailward quarantine release", "mailward quarantine release --to", "mailward policy check", "mailward explain ID",
        )  # fmt: skip
        planned = reader.types("retro", code=1)
        assert "1 copy would be taken into quarantine" in planned and f"{wave}  " in planned and "in INBOX\n    wave\n" in planned
        assert len(made.messages(account=bob)) == 2
        assert reader.types("retro", more="--yes").startswith("R1: 1 copy taken into quarantine\n")
        assert reader.types("retro").startswith("R2: 1 copy tagged\n")
        assert reader.types("retro").startswith("R3: 1 copy let go on\n")
        assert sorted(re.findall(rb"Subject: (\S+)", b"".join(made.messages(account=bob)))) == [b"odd-news", b"offer"]
        assert "tag $Suspicious" in reader.types("retro list")
        assert f"{wave}  {bob}  done" in reader.types("retro show")
        assert "put back into INBOX by undoing retro-action R1" in reader.types("retro undo", more="--yes")
        assert "wave" in str(made.messages(account=bob)[-1])
        reader.is_through()


def test_a_verdict_is_explained_as_the_page_says(tmp_path: Path) -> None:
    with server(domain="example.org") as made:
        made.add_account("bob@example.org")
        code, text = made.send(mail("hello"), to=["bob@example.org"])
        assert code == 250, text
        queue_id = text.rpartition(" ")[2]
        reader = Reader("how-to/explain-a-verdict.md", made, tmp_path)
        reader.stands_for = {
            "01k9w3c5v7q2x8ab": queue_id, "20261101120000.1@example.net": "hello@example.org",
        }  # fmt: skip
        (tmp_path / "message.eml").write_bytes(mail("hello"))
        for _ in range(4):
            assert queue_id in reader.types("explain")
        assert reader.types("explain") == "nothing found\n"
        assert json.loads(reader.types("explain")) == []
        sender = made.run("explain", "--from", "@SENDER.invalid", "--plugin", "spf", "--json")
        assert [one["id"] for one in json.loads(sender.stdout)] == [queue_id]
        assert re.match("(ACCEPT|JUNK) ", reader.types("scan"))
        reader.is_through()


def test_a_message_is_looked_into_as_the_page_says(tmp_path: Path) -> None:
    with server() as made:
        (tmp_path / "message.eml").write_bytes(
            b"From: ann@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
            b'Content-Disposition: attachment; filename="a.bin"\r\n\r\nAA.AA\r\n--b--\r\n'
        )
        reader = Reader("how-to/see-how-a-message-is-read.md", made, tmp_path)
        told = reader.types("message inspect")
        assert "From: ann@example.org" in told
        assert "a.bin" in told
        assert re.search(r"BROKEN_BASE64: .*\(part 2\)", told)
        assert reader.types("scan", code=2).startswith("QUARANTINE ")  # nobody knows what its base64 stands for
        assert re.search(r"^2 .*base64.* at \d+, body \d+-\d+$", reader.types("message inspect"), re.MULTILINE)
        seen = json.loads(reader.types("message inspect"))
        assert [part["content_type"] for part in seen["parts"]] == ["multipart/mixed", "text/plain", "application/octet-stream"]
        assert [(anomaly["name"], anomaly["parts"]) for anomaly in seen["anomalies"]] == [("BROKEN_BASE64", ["2"])]
        reader.is_through()


def test_every_setting_of_the_configuration_is_described() -> None:
    from mailward.app.config import KEYS

    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", (DOCS / "reference/config.md").read_text(), re.MULTILINE)
    meanings = {key: meaning for keys, meaning in rows for key in re.findall(r"`([^`]+)`", keys)}
    expected = {f"{mapping}.{key}".lstrip(".") for mapping, keys in KEYS.items() for key in keys if "NAME" not in mapping}
    expected -= {mapping.partition(".")[0] for mapping in KEYS}  # what stands in them is described
    assert set(meanings) == expected - {"sieve_lists"} | {"listeners.NAME", "routes.DOMAIN", "sieve_lists.URI"}
    for key in KEYS["listeners.NAME"]:
        assert f"`{key}`" in meanings["listeners.NAME"]
    for key in KEYS["routes.NAME"]:
        assert f"`{key}`" in meanings["routes.DOMAIN"]


def test_links_between_pages_lead_somewhere() -> None:
    root = DOCS.parent
    for page in (*root.glob("*.md"), *DOCS.rglob("*.md"), *(root / "contrib").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    from mailward.cli import app
    from mailward.cli.reference import page

    assert (DOCS / "reference/cli.md").read_text() == page(app), "run: python -m mailward.cli.reference >docs/reference/cli.md"


def test_mail_is_forwarded_as_the_page_says(tmp_path: Path) -> None:
    with server(domain="example.org", start=False) as made:
        for account in ("alice@example.org", "bob@example.org", "carol@example.com"):
            made.add_account(account)
        made.run("account", "remove", "carol@example.com", "--yes")
        reader = Reader("how-to/forward-mail.md", made, tmp_path, "mailward explain last")
        assert reader.types("alias add sales@") == "sales@example.org leads to alice@example.org, bob@example.org\n"
        assert "sales@example.org" in reader.types("alias list")
        assert "the mailbox of bob@example.org by sales@example.org" in reader.types("alias show")
        reader.types("account address add info@")
        assert reader.types("alias add ann@") == "ann@example.org leads to ann@example.net\n"
        reader.types("alias add @example.org")
        reader.types("alias add @example.com")
        assert "list of alice@example.org, only members may post" in reader.types("alias add team@")
        assert reader.types("alias remove") == "alias sales@example.org removed\n"
        reader.is_through()


def test_the_smarthost_page_is_a_configuration_and_its_command_works(tmp_path: Path) -> None:
    with server(domain="example.org", start=False) as made:
        smarthost, ways_out = blocks("how-to/send-by-a-smarthost.md", "yaml")
        plain = re.sub(r"^routes: .*\n", "", made.config.read_text(), flags=re.MULTILINE)
        for block in (smarthost, ways_out):
            made.config.write_text(plain + block)
            load_config(made.config)
        refused = made.run("serve", check=False)
        assert refused.returncode == 78 and "192.0.2.25 is no address of this machine" in refused.stderr
        made.config.write_text(plain + smarthost)
        made.run("domain", "list")
        reader = Reader("how-to/send-by-a-smarthost.md", made, tmp_path, "mailward queue list")
        assert reader.reads("queue retry") == "mailward queue retry --all"
        reader.is_through()
