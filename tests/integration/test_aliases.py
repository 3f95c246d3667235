"""`mailward alias` on a running server: it counts at once, filters come first, and circles between servers end in a bounce."""

from support.dns_server import DnsServer
from support.relayed import QUIET, relay_to, two_servers
from support.server import Server, server
from support.smtp_peer import peer

MAIL = b"From: a@sender.invalid\r\nTo: sales@example.test\r\nSubject: an order\r\nDKIM-Signature: v=1; b=x\r\n\r\ntwo of them\r\n"


def test_an_alias_leads_to_people_here_and_elsewhere_at_once() -> None:
    with server(policy=QUIET, start=False) as made, peer() as far:
        relay_to(made, {"far.test": far.port})
        made.start()
        made.add_account("bob@example.test")
        assert made.send(MAIL, to=["sales@example.test"])[0] == 550
        said = made.run("alias", "add", "sales@example.test", "demo@example.test", "bob@example.test", "ann@far.test").stdout
        assert said == "sales@example.test leads to demo@example.test, bob@example.test, ann@far.test\n"

        code, text = made.send(MAIL, to=["sales@example.test"])
        assert code == 250, text
        for account in made.accounts:
            (got,) = made.wait_for(1, account=account)
            assert b"Return-Path: <sender@sender.invalid>" in got and b"Delivered-To" not in got
        (sent,) = far.wait_for(1)
        assert sent.forward_paths == ("ann@far.test",)
        assert sent.octets.endswith(MAIL) and b"\r\nDelivered-To: sales@example.test\r\n" in b"\r\n" + sent.octets
        assert "leads to demo@example.test, bob@example.test, ann@far.test" in made.explain()

        made.run("alias", "remove", "sales@example.test")
        assert made.send(MAIL, to=["sales@example.test"])[0] == 550
        assert made.run("alias", "list").stdout == "no aliases\n"


def test_a_list_tells_its_owner_of_what_fails() -> None:
    with server(policy=QUIET, start=False) as made, peer({"RCPT": b"550 5.1.1 gone\r\n"}) as far:
        relay_to(made, {"far.test": far.port})
        made.start()
        made.add_account("bob@example.test")
        made.run("alias", "add", "team@example.test", "bob@example.test", "ann@far.test", "--list", "demo@example.test")
        assert made.send(MAIL, to=["team@example.test"])[0] == 250
        (got,) = made.wait_for(1, account="bob@example.test")
        assert b"Return-Path: <demo@example.test>" in got
        (report,) = made.wait_for(1)
        assert b"ann@far.test" in report and b"Original-Recipient: rfc822; team@example.test" in report
        assert "MAIL FROM:<demo@example.test>" in " ".join(far.lines)


def test_t_relay_15_a_circle_of_two_servers_ends_in_a_report(dns_server: DnsServer) -> None:
    """Each alias leads to the other server twice, so that without a mark copies would double at every turn."""
    with two_servers(dns_server) as (one, two):
        for name in ("x", "y"):
            one.run("alias", "add", f"{name}@one.test", "x@two.test", "y@two.test")
            two.run("alias", "add", f"{name}@two.test", "x@one.test", "y@one.test")
        assert one.submit(MAIL.replace(b"a@sender.invalid", b"demo@one.test"), "x@one.test", account="demo@one.test")[0] == 250
        one.wait_for(1, account="demo@one.test", timeout_s=60)
        one.until(lambda: not queued(one) + queued(two))
        reports = one.messages(account="demo@one.test")
        assert 1 <= len(reports) <= 4 and all(b"5.4.6" in report for report in reports)


def queued(made: Server) -> int:
    """Messages that wait."""
    return len(made.json("queue", "list"))


def test_what_cannot_be_is_said_and_what_is_can_be_shown() -> None:
    with server(start=False) as made:
        refused = made.run("alias", "add", "demo@example.test", "ann@far.test", check=False)
        assert refused.returncode == 64 and "is taken: it is the account" in refused.stderr
        assert made.run("alias", "add", "@far.test", "demo@example.test", check=False).returncode == 64
        assert made.run("alias", "add", "x@example.test", "x@example.test", check=False).returncode == 64
        assert made.run("alias", "remove", "x@example.test", check=False).returncode == 66
        made.run("alias", "add", "@example.test", "demo@example.test")
        made.run("alias", "add", "sales@example.test", "ann@far.test", "anybody@example.test")
        assert made.json("alias", "list") == [
            {"alias": "@example.test", "targets": ["demo@example.test"], "owner": None, "members_only": False},
            {"alias": "sales@example.test", "targets": ["ann@far.test", "anybody@example.test"], "owner": None, "members_only": False},
        ]  # fmt: skip
        assert made.run("alias", "show", "sales@example.test").stdout.splitlines() == [
            "ann@far.test, on another server by sales@example.test",
            "the mailbox of demo@example.test by sales@example.test -> @example.test",
        ]
        assert made.run("alias", "show", "x@nobody.test").stdout == "x@nobody.test, on another server\n"


def test_spam_for_a_forward_waits_in_the_quarantine_and_leaves_with_our_reverse_path_when_released() -> None:
    policy = QUIET + "rules: [{name: odd, when: 'message.subject.contains(\"an order\")', then: junk}]\n"
    with server(policy=policy, start=False) as made, peer() as far:
        relay_to(made, {"far.test": far.port})
        made.start()
        made.run("alias", "add", "sales@example.test", "demo@example.test", "ann@far.test")
        assert made.send(MAIL, to=["sales@example.test"])[0] == 250
        made.wait_for(1, "Junk")
        made.until(lambda: bool(made.json("quarantine", "list")))
        (held,) = made.json("quarantine", "list")
        assert held["recipient"] == "ann@far.test" and not far.taken
        (shown,) = made.json("quarantine", "show", held["id"])
        assert shown["verdict"] == "junk"
        made.run("quarantine", "release", held["id"])
        (sent,) = far.wait_for(1)
        assert sent.forward_paths == ("ann@far.test",) and sent.reverse_path.startswith("SRS0=")
        assert b"Delivered-To: sales@example.test\r\n" in sent.octets
