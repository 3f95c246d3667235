"""`mailward quarantine` beside a running server: seen without danger, released once, explained, and learnt from."""

import email
import email.policy
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.relayed import relay_to
from support.server import Server, server
from support.smtp_peer import peer

POLICY = """\
version: 1
extends: mailward/inbound
plugins: {antivirus: {engine: test-file, heed: false}, spam: {learn_first: 1}}
rules:
  - {name: infected, when: antivirus.infected, then: quarantine}
  - {name: odd, when: 'message.subject.contains("odd")', then: quarantine}
"""
HOSTILE = (
    b"From: \x1b[31mred\x1b[0m <a@sender.invalid>\r\n"
    b"To: demo@example.test\r\n"
    b"Subject: odd =?utf-8?b?G1sySuKArm5hbWUKaWQgICAgICAgICBmb3JnZWTigIs=?=\r\n"
    b"Message-ID: <1@sender.invalid>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    b"title \x1b]0;owned\x07 clear \x1b[2J csi \xc2\x9b31m over \xe2\x80\xae end\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''invoice%E2%80%AEfdp%1B%5B2J.exe\r\n\r\nx\r\n--b--\r\n"
)
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069]")


def plain(number: int) -> bytes:
    return f"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: odd {number}\r\n\r\nlunch {number}\r\n".encode()


@pytest.fixture(scope="module")
def made() -> Iterator[Server]:
    with server(policy=POLICY) as target:
        target.add_account("bob@example.test")
        yield target


def held(made: Server, *arguments: str) -> list[dict[str, Any]]:
    found = made.json("quarantine", "list", *arguments)
    assert isinstance(found, list)
    return found


def put(made: Server, octets: bytes, *to: str) -> list[str]:
    """Send a message that is kept; the ids of its copies."""
    code, text = made.send(octets, to=to or ("demo@example.test",))
    assert code == 250, text
    queue_id = text.rpartition(" ")[2].strip()
    wanted = len(to) or 1
    made.wait_delivered(queue_id, wanted)
    return sorted(one["id"] for one in held(made) if one["id"].startswith(queue_id))


def test_it_lists_what_is_kept_and_why(made: Server) -> None:
    (key,) = put(made, plain(1), "bob@example.test")
    (found,) = [one for one in held(made, "--to", "BOB@example.test", "--since", "1h") if one["id"] == key]
    assert (found["recipient"], found["reverse_path"], found["route"]) == ("bob@example.test", "sender@sender.invalid", "mailbox")
    assert found["reason"].startswith("quarantine by rule odd")
    assert held(made, "--to", "nobody@example.test") == []
    line = made.run("quarantine", "list", "--to", "bob@example.test").stdout
    assert key in line and "rule odd" in line and "odd 1" in line
    assert line.split()[0] == "ID" and line.count("\n") == 2, "a header line and one copy"


def test_t_smtp_30_t_hdr_15_nothing_of_a_message_reaches_the_terminal_as_a_command(made: Server) -> None:
    (key,) = put(made, HOSTILE)
    shown = made.run("quarantine", "show", key).stdout
    assert not ACTING.search(shown)
    assert "clear [2J" in shown and "invoicefdp[2J.exe" in shown
    assert not re.search(r"^id +forged", shown, re.MULTILINE), "nobody's text passes for a line of ours"
    as_json = made.run("quarantine", "show", key, "--json").stdout
    assert not ACTING.search(as_json)
    assert json.loads(as_json)[0]["attachments"][0]["names"] == ["invoice\u202efdp[2J.exe"]
    for arguments in (["quarantine", "list"], ["quarantine", "list", "--json"], ["explain", key.partition(":")[0]]):
        assert not ACTING.search(made.run(*arguments).stdout)
    made.run("quarantine", "release", key)
    assert not ACTING.search(made.run("try", "read", "--password-file", made.password_file).stdout)


def test_show_says_what_decided_and_shows_the_message(made: Server) -> None:
    (key,) = put(made, plain(2))
    shown = made.run("quarantine", "show", key.partition(":")[0]).stdout
    assert "QUARANTINE demo@example.test rule odd (policies/inbound.yaml:6:5)" in shown
    assert "  Subject: odd 2" in shown and "  lunch 2" in shown


def test_t_q_10_a_release_delivers_once_and_is_explained(made: Server) -> None:
    keys = put(made, plain(3), "demo@example.test", "bob@example.test")
    bare = keys[0].partition(":")[0]
    several = made.run("quarantine", "release", bare, check=False)
    assert several.returncode == 64 and all(key in several.stderr for key in keys)
    before = len(made.messages(account="bob@example.test"))
    made.run("quarantine", "release", keys[1])
    assert made.run("quarantine", "release", keys[1], check=False).returncode == 66
    messages = made.messages(account="bob@example.test")
    assert len(messages) == before + 1 and messages[-1].endswith(b"\r\n\r\nlunch 3\r\n")
    made.run("quarantine", "release", bare, "--to", "postmaster@example.test")  # now the id names one copy
    explained = made.explain(bare)
    assert "bob@example.test: released by admin into INBOX of bob@example.test" in explained
    assert "demo@example.test: released by admin into INBOX of postmaster@example.test" in explained


def test_several_at_once_malware_apart_and_ham_is_learnt(made: Server) -> None:
    keys = put(made, plain(4)) + put(made, plain(5))
    assert made.run("try", "send", "--eicar").returncode == 0
    (infected,) = [one["id"] for one in held(made) if one["infected"]]
    learnt = _learnt(made)
    done = made.run("quarantine", "release", infected, *keys, "--json", check=False)
    assert done.returncode == 64
    outcomes = {one["id"]: one for one in json.loads(done.stdout)}
    assert [outcomes[key]["released"] for key in (*keys, infected)] == [True, True, False]
    assert "malware" in outcomes[infected]["outcome"] and "--even-infected" in outcomes[infected]["outcome"]
    assert _learnt(made) == learnt + 2
    made.run("quarantine", "release", infected, "--even-infected")
    assert _learnt(made) == learnt + 2, "malware is no lesson in ham"
    assert any(b"eicar.com" in message for message in made.messages())


def _learnt(made: Server) -> int:
    """How many lessons stand behind the spam plugin's word."""
    made.run("train", "spam", str(_file(made, "spam.eml", b"Subject: cheap pills\r\n\r\nbuy now\r\n")))
    mail = _file(made, "any.eml", b"From: a@sender.invalid\r\nSubject: x\r\n\r\nhello\r\n")
    scanned = json.loads(made.run("scan", str(mail), "--json", check=False).stdout)
    learnt: int = scanned["facts"]["spam.learnt"]
    return learnt


def _file(made: Server, name: str, octets: bytes) -> Any:
    path = made.folder.parent / name
    path.write_bytes(octets)
    path.chmod(0o644)
    return path


def test_a_drop_wants_a_yes_and_is_for_good(made: Server) -> None:
    (key,) = put(made, plain(6))
    refused = made.run("quarantine", "drop", key, check=False)
    assert refused.returncode == 64 and "--yes" in refused.stderr
    made.run("quarantine", "drop", key, "--yes")
    assert made.run("quarantine", "show", key, check=False).returncode == 66
    assert "dropped from quarantine by admin" in made.explain(key.partition(":")[0])


def test_wrong_ids_end_with_their_exit_code(made: Server) -> None:
    assert made.run("quarantine", "show", "nosuch", check=False).returncode == 66
    assert made.run("quarantine", "release", "a:b", check=False).returncode == 64
    assert made.run("quarantine", "release", check=False).returncode == 64
    (key,) = put(made, plain(7))
    done = made.run("quarantine", "release", key, "nosuch", check=False)
    assert done.returncode == 66
    assert any(one["id"] == key for one in held(made)), "one wrong id, and nothing is done"


def test_mail_for_another_server_leaves_when_it_is_released() -> None:
    with peer() as far, server(policy=POLICY, start=False) as made:
        relay_to(made, {"far.test": far.port})
        made.start()
        (key,) = put(made, plain(8), "ann@far.test")
        assert held(made)[0]["route"] == "relay"
        made.run("quarantine", "release", key)
        (taken,) = far.wait_for(1)
        assert (taken.reverse_path, taken.forward_paths) == ("sender@sender.invalid", ("ann@far.test",))
        assert taken.octets.endswith(b"Subject: odd 8\r\n\r\nlunch 8\r\n")
        assert b"Return-Path:" not in taken.octets, "it is written at final delivery (RFC 5321 section 4.4)"
        assert taken.octets.count(b"Received: ") == 1
        explained = explained_until(made, key.partition(":")[0], "relayed to [127.0.0.1]")
        assert "ann@far.test: released by admin to the queue as " in explained
        assert len(far.taken) == 1 and held(made) == []


def explained_until(made: Server, queue_id: str, text: str) -> str:
    """What `explain` says, once it says that."""
    deadline = time.monotonic() + 20
    while text not in (told := made.explain(queue_id)):
        assert time.monotonic() < deadline, told
    return told


USERS = POLICY.replace("rules:", "rules:\n  - {name: gone, when: 'message.subject.contains(\"gone\")', then: discard}")


def test_t_web_19_users_see_and_release_their_own_mail_as_far_as_an_admin_allows() -> None:
    with server(policy=USERS, start=False) as made:
        made.add_account("bob@example.test")
        made.config.write_text(made.config.read_text() + "quarantine: {users_release: [rule:odd, rule:gone]}\n")
        made.start()
        (for_demo, for_bob) = put(made, plain(9), "demo@example.test", "bob+tag@example.test")
        (gone,) = put(made, plain(10).replace(b"odd", b"gone"), "bob@example.test")
        as_bob = ("--as", "bob@example.test")
        said = {one["id"]: one["why_not_released_by_user"] for one in held(made, *as_bob)}
        assert said == {for_bob: None, gone: "a rule discards it"}
        done = made.run("quarantine", "release", gone, for_bob.partition(":")[0], *as_bob, "--json", check=False)
        assert done.returncode == 64
        assert [one["released"] for one in json.loads(done.stdout)] == [False, True]
        assert made.run("quarantine", "release", for_demo, *as_bob, check=False).returncode == 66, "not even that it is there"
        assert len(made.messages(account="bob@example.test")) == 1 and not made.messages()
        made.run("quarantine", "show", for_demo)
        told = made.explain(for_bob.partition(":")[0])
        assert "released by bob@example.test into INBOX" in told and "demo@example.test: read in quarantine by admin" in told


def test_users_release_neither_elsewhere_nor_malware(made: Server) -> None:
    for more in (("--even-infected",), ("--to", "demo@example.test")):
        refused = made.run("quarantine", "release", "any", "--as", "bob@example.test", *more, check=False)
        assert refused.returncode == 64 and "--as excludes" in refused.stderr


def test_t_dos_18_a_long_list_goes_on_after_an_id(made: Server) -> None:
    keys = {key for number in (20, 21) for key in put(made, plain(number), "bob@example.test")}
    cut = made.run("quarantine", "list", "--why", "rule:odd", "--to", "bob@example.test", "--limit", "1", "--json")
    (first,) = json.loads(cut.stdout)
    assert f"--after {first['id']} goes on" in cut.stderr
    (second, *_) = held(made, "--why", "rule:odd", "--to", "bob@example.test", "--after", first["id"])
    assert {first["id"], second["id"]} == keys
    assert made.run("quarantine", "list", "--after", "nosuch", check=False).returncode == 66
    assert made.run("quarantine", "list", "--why", "odd", check=False).returncode == 64


def test_who_has_new_mail_in_quarantine_hears_of_it_once() -> None:
    with server(policy=USERS, start=False) as made:
        for name in ("bob", "carl"):
            made.add_account(f"{name}@example.test")
        made.start()
        (key,) = put(made, HOSTILE, "bob@example.test")
        put(made, plain(11).replace(b"odd", b"gone"), "carl@example.test")
        assert made.run("try", "send", "--eicar").returncode == 0
        made.until(lambda: any(one["infected"] for one in held(made)))
        asked = ("quarantine", "digest", "--to", "bob@example.test")
        printed = made.run(*asked, "--dry-run").stdout
        assert "Subject: Quarantine: 1 message kept from your mailbox" in printed and f"  Number:    {key}\n" in printed
        assert not ACTING.search(printed) and not re.search(r"(?m)^id +forged", printed)

        made.terminate()
        made.config.write_text(made.config.read_text() + "quarantine: {digest: daily, digest_hour: 0}\n")
        made.start()
        (to_bob,) = made.wait_for(1, account="bob@example.test")
        (to_demo,) = made.wait_for(1)
        body = email.message_from_bytes(to_bob, policy=email.policy.default).get_content()
        assert printed.partition("\n\n")[2].split() == body.split(), "what was printed is what came"
        assert b"Malware: 1 message, not shown here" in to_demo and b"eicar" not in to_demo.lower()
        assert to_bob.startswith(b"Return-Path: <>\r\n") and b"\r\nAuto-Submitted: auto-generated\r\n" in to_bob
        assert made.run(*asked, "--dry-run").stdout == "nothing new is kept for bob@example.test\n"
        assert not made.messages(account="carl@example.test"), "what a rule discards is not told"
