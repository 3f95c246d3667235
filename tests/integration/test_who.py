"""`mailward who` and `mailward kick` beside a whole server: whose sessions there are, and that one account's end and no other."""

import imaplib
import poplib

import pytest

from support.server import PASSWORD, server


def test_who_is_logged_in_is_shown_and_kicked() -> None:
    with server(policy="version: 1\nplugins: {}\n") as target:
        target.add_account("bob@example.test")
        assert target.run("who").stdout == "nobody is logged in\n" and target.json("who") == []
        imap, other = target.imap(), target.imap("bob@example.test")
        pop = poplib.POP3_SSL("127.0.0.1", target.port("pop3s"), context=target.tls(), timeout=60)
        pop.user(target.demo)
        assert len(target.json("who")) == 2, "who has not logged in yet is nobody's session"
        pop.pass_(PASSWORD)
        found = target.json("who", target.demo)
        assert [(one["user"], one["protocol"], one["peer"], one["tls"]) for one in found] == [
            (target.demo, protocol, "127.0.0.1", "TLSv1.3") for protocol in ("imap", "pop3")
        ]
        lines = target.run("who").stdout.splitlines()
        assert lines[0].split() == ["USER", "PROTOCOL", "PEER", "TLS", "SINCE"] and len(lines) == 4

        assert target.run("kick", target.demo).stdout == f"2 sessions of {target.demo} ended\n"
        with pytest.raises(imaplib.IMAP4.abort, match="The administrator ends this session"):
            target.until(lambda: imap.noop()[0] != "OK")
        target.until(lambda: [one["user"] for one in target.json("who")] == ["bob@example.test"])
        assert other.noop()[0] == "OK"
        assert f'user={target.demo} peer=127.0.0.1 protocol=imap why="The administrator ends this session"' in target.log()
        assert target.run("kick", "nobody@example.test", check=False).returncode == 66
        target.terminate()
        away = target.run("who", check=False)
        assert away.returncode == 70 and "no server answers" in away.stderr
