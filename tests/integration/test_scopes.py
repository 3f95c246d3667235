"""Overrides for senders, networks, listeners and accounts on a running server: who is asked otherwise, and how an admin sees it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server import Server, server

INBOUND = """\
version: 1
rules: [{name: held, when: 'mail_from.domain == "held.test"', then: quarantine}]
overrides:
  - name: shut
    for: {network: 127.0.0.0/8, listener: mx, sender: evil.test}
    rules: [{name: shut, at: mail, then: reject, reply: "550 5.7.1 Not from you"}]
  - name: elsewhere
    for: {network: 192.0.2.0/24}
    rules: [{name: shut, at: mail, then: reject}]
  - name: partner
    for: {sender: held.test, network: "127.0.0.1", recipient: demo@example.test}
    rules: [{name: known, then: accept}]
"""
SUBMISSION = """\
version: 1
overrides:
  - name: guests
    for: {identity: "group:guests", listener: submissions}
    rules: [{name: not-for-guests, then: reject, reply: "550 5.7.1 Guests write to nobody"}]
"""


@pytest.fixture(scope="module")
def made() -> Iterator[Server]:
    with server(policy=INBOUND, start=False) as target:
        (target.folder / "policies/submission.yaml").write_text(SUBMISSION)
        target.add_account("guest@example.test")
        target.run("group", "add", "guests", "guest@example.test")
        target.add_account("other@example.test")
        target.start()
        yield target


def verdicts(made: Server, id: str) -> list[tuple[str, str]]:
    return [(one["recipient"], one["verdict"]) for one in made.decision(id)["recipients"]]


def test_an_override_without_recipients_refuses_at_mail_and_the_next_transaction_is_another(made: Server) -> None:
    with made.smtp() as client:
        client.ehlo()
        assert client.mail("a@evil.test")[0] == 550
        assert client.mail("a@fine.test")[0] == 250
        client.rset()
        assert b"Not from you" in client.mail("A@EVIL.test")[1]


def test_sender_and_network_and_recipient_must_all_hold(made: Server) -> None:
    code, text = made.send(b"Subject: x\r\n\r\nbody\r\n", sender="a@held.test", to=["demo@example.test", "other@example.test"])
    assert code == 250
    id = text.split("id ")[1].split()[0]
    made.until(lambda: bool(made.run("explain", id, check=False).stdout))
    assert verdicts(made, id) == [("demo@example.test", "accept"), ("other@example.test", "quarantine")]


def test_an_account_is_known_by_its_group_on_the_listener_where_it_logs_in(made: Server) -> None:
    code, text = made.submit(b"Subject: x\r\n\r\nbody\r\n", "other@example.test", account="guest@example.test")
    assert (code, text.partition(" (id")[0]) == (550, "5.7.1 Guests write to nobody")
    assert made.submit(b"From: demo@example.test\r\nSubject: x\r\n\r\nbody\r\n", "other@example.test")[0] == 250


def test_show_says_which_hold_and_what_keeps_the_others(made: Server) -> None:
    shown = made.run("policy", "show", "--for", "demo@example.test", "--ip", "127.0.0.1", "--sender", "a@held.test").stdout
    lines = [line.split() for line in shown[shown.index("overrides:") :].splitlines()[1:]]
    assert [(line[0], " ".join(line[1:6])) for line in lines] == [
        ("shut", "does not hold: sender, listener"),
        ("elsewhere", "does not hold: network in"),
        ("partner", "holds from held.test in 127.0.0.1/32"),
    ]
    partner = ("--ip", "127.0.0.1", "--sender", "a@held.test")
    assert made.json("policy", "show", "--for", "demo+tag@example.test", *partner)["overrides"] == ["partner"]
    data = made.json("policy", "show", "--ip", "192.0.2.7", "--listener", "mx", "--sender", "<>")
    assert data["overrides"] == ["elsewhere"]
    assert data["overrides_kept_by"] == {"shut": ["sender", "network"], "partner": ["sender", "network", "recipient"]}
    guest = made.json(
        "policy", "show", "--direction", "submission", "--identity", "guest@example.test", "--listener", "submissions"
    )
    assert (guest["overrides"], [rule["name"] for rule in guest["rules"]]) == (["guests"], ["not-for-guests"])


def test_a_rule_of_an_override_is_explained_for_the_mail_it_is_for(made: Server) -> None:
    missed = made.run("policy", "explain-rule", "known", "--ip", "127.0.0.1", check=False)
    assert missed.returncode == 66
    assert "The override 'partner' has it, which is for other mail" in missed.stderr
    assert missed.stderr.endswith("say which by --sender and --for.\n")
    told = made.run(
        "policy", "explain-rule", "known", "--ip", "127.0.0.1", "--sender", "a@held.test", "--for", "demo@example.test"
    ).stdout  # fmt: skip
    assert told.startswith("known   policies/inbound.yaml:")


def test_scan_rehearses_what_comes_by_a_listener_and_from_an_account(made: Server, tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.write_bytes(b"From: guest@example.test\r\nSubject: x\r\n\r\nbody\r\n")
    partner = ("--mail-from", "a@held.test", "--rcpt", "demo@example.test")
    assert made.run("scan", str(mail), *partner).stdout.startswith("ACCEPT")
    assert made.run("scan", str(mail), *partner, "--ip", "198.51.100.9", check=False).returncode == 2
    guest = ("--identity", "guest@example.test", "--rcpt", "x@far.test")
    assert made.run("scan", str(mail), *guest, "--listener", "submissions", check=False).stdout.startswith("REJECT")
    assert made.run("scan", str(mail), *guest).stdout.startswith("ACCEPT")
    assert "no user sends mail by 'mx'" in made.run("scan", str(mail), *guest, "--listener", "mx", check=False).stderr
    assert "no mail comes by 'imap'" in made.run("scan", str(mail), "--listener", "imap", check=False).stderr


def test_a_live_test_says_from_where_its_message_comes(made: Server) -> None:
    policy, message = made.folder / "policies/inbound.yaml", "{mail_from: a@held.test, rcpt: demo@example.test}"
    tests = [("127.0.0.1", "accept"), ("198.51.100.9", "quarantine")]
    lines = [
        f"{{name: from {ip}, live: true, message: {message}, given: {{peer.ip: {ip}}}, expect: {{verdict: {word}}}}}"
        for ip, word in tests
    ]
    try:
        policy.write_text(INBOUND + "tests:\n" + "".join(f"  - {line}\n" for line in lines))
        assert ", 0 failed" in made.run("policy", "test").stdout
    finally:
        policy.write_text(INBOUND)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--identity", "demo@example.test"), "--identity: whoever sends here has not logged in"),
        (("--direction", "access", "--for", "a@example.test"), "--for: a login has no recipient"),
        (("--listener", "submision"), "mailward.yaml has no listener 'submision'. Did you mean 'submission'?"),
        (("--ip", "192.0.2.0/24"), "--ip: '192.0.2.0/24' does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_an_option_that_means_nothing_is_refused(made: Server, options: tuple[str, ...], problem: str) -> None:
    done = made.run("policy", "show", *options, check=False)
    assert (done.returncode, problem in done.stderr) == (64, True), done.stderr


def test_replay_knows_from_where_a_message_came(made: Server) -> None:
    id = made.send(b"Subject: x\r\n\r\nbody\r\n", sender="a@held.test")[1].split("id ")[1].split()[0]
    made.until(lambda: bool(made.run("explain", id, check=False).stdout))
    new = made.folder / "new.yaml"
    new.write_text(INBOUND.replace('network: "127.0.0.1"', "network: 192.0.2.1"))
    done = made.run("policy", "replay", "--policy", str(new), "--limit", "100", check=False)
    assert done.returncode == 1
    assert "accept -> quarantine" in done.stdout
    new.write_text(INBOUND.replace("listener: mx, ", "listener: [mx], "))
    done = made.run("policy", "replay", "--policy", str(new), check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^  unchanged +[1-9][0-9]* recipients?$", done.stdout, re.MULTILINE), done.stdout
    assert "-> " not in done.stdout


def test_a_group_and_a_domain_of_nobody_are_told_and_a_listener_that_is_not_there_refused(made: Server) -> None:
    policy = made.folder / "policies/submission.yaml"
    try:
        policy.write_text(SUBMISSION.replace('"group:guests"', '["group:guest", exampel.test]'))
        told = made.run("policy", "check").stdout
        assert "nobody is in the group 'guest'\n    Did you mean 'guests'?" in told
        assert "'exampel.test' is no domain of ours" in told
        policy.write_text(SUBMISSION.replace("listener: submissions", "listener: mx"))
        refused = made.run("policy", "check", check=False)
        assert refused.returncode == 78
        assert "policies/submission.yaml:4:37  overrides[0].for.listener: what comes by the listener 'mx'" in refused.stderr
    finally:
        policy.write_text(SUBMISSION)


def test_who_is_scanned_for_and_lives_nowhere_stands_for_somebody_here() -> None:
    rule = "{name: elsewhere, when: '!recipient.is_local', then: reject}"
    with server(policy=f"version: 1\nplugins: {{}}\nrules: [{rule}]\n", start=False) as made:
        for rcpt in ((), ("--rcpt", "somebody@example.com")):
            assert made.run("scan", "-", *rcpt, stdin="Subject: a\r\n\r\n").stdout.startswith("ACCEPT")
