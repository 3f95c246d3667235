"""The lines that an admin searches the log of a whole server for: who logged in and from where, what became of his mail and mailboxes."""

import poplib
import re
import shlex
from collections.abc import Iterator

import pytest

from mailward.cli.options import whoever
from support.server import PASSWORD, Server, server


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server(policy="version: 1\nplugins: {}\n") as target:
        yield target


def _events(target: Server, event: str) -> list[dict[str, str]]:
    """The values of each line of an event, in order."""
    lines = [shlex.split(line) for line in target.log_octets().decode().splitlines() if f'event="{event}"' in line]
    return [dict(pair.split("=", 1) for pair in line) for line in lines]


def _waited_for(target: Server, event: str, count: int) -> list[dict[str, str]]:
    target.until(lambda: len(_events(target, event)) >= count)
    return _events(target, event)


def test_an_imap_session_is_told_from_its_login_to_its_end(running: Server) -> None:
    begun = len(_events(running, "session ended"))
    client = running.imap()
    for text in (b"one", b"two"):
        client.append("INBOX", "", "", b"Subject: a private matter\r\n\r\n" + text + b"\r\n")
    client.create("Plans")
    client.rename("Plans", '"Old plans"')
    client.delete('"Old plans"')
    client.select("INBOX")
    client.store("1:2", "+FLAGS", r"(\Deleted)")
    client.expunge()
    client.logout()
    ended = _waited_for(running, "session ended", begun + 1)[-1]
    who = {"user": running.demo, "peer": "127.0.0.1"}
    login = _events(running, "login accepted")[-1]
    assert {**login, **who, "protocol": "imap", "mechanism": "PLAIN", "tls": "TLSv1.3", "why": "password"} == login
    assert re.fullmatch("[0-9a-f]{16}", login["account"])
    assert {**ended, **who, "protocol": "imap", "why": "logged out", "expunged": "2", "account": login["account"]} == ended
    assert int(ended["in_octets"]) > 100 and int(ended["out_octets"]) > 100 and float(ended["lasted_s"]) >= 0
    [renamed], [deleted], [expunged] = (
        _events(running, event) for event in ("mailbox renamed", "mailbox deleted", "messages expunged")
    )
    assert {**renamed, **who, "mailbox": "Plans", "to": "Old plans"} == renamed
    assert {**deleted, **who, "mailbox": "Old plans"} == deleted
    assert {**expunged, **who, "mailbox": "INBOX", "messages": "2"} == expunged
    assert "private matter" not in running.log()


def test_a_client_that_is_gone_without_a_word_is_told_too_and_who_never_logged_in_is_not(running: Server) -> None:
    begun = len(_events(running, "session ended"))
    stranger = poplib.POP3_SSL("127.0.0.1", running.port("pop3s"), context=running.tls(), timeout=60)
    stranger.quit()
    running.imap().shutdown()
    [ended] = _waited_for(running, "session ended", begun + 1)[begun:]
    assert (ended["user"], ended["why"], ended["expunged"]) == (running.demo, "connection closed by the client", "0")


def test_a_pop3_session_tells_what_was_retrieved_and_deleted(running: Server) -> None:
    begun, deleted = (len(_events(running, event)) for event in ("session ended", "messages expunged"))
    with running.imap() as client:
        client.append("INBOX", "", "", b"Subject: x\r\n\r\nx\r\n")
    pop = poplib.POP3_SSL("127.0.0.1", running.port("pop3s"), context=running.tls(), timeout=60)
    pop.user(running.demo)
    pop.pass_(PASSWORD)
    pop.retr(1)
    pop.dele(1)
    pop.quit()
    ended = _waited_for(running, "session ended", begun + 2)[-1]
    assert (ended["protocol"], ended["why"], ended["retrieved"], ended["expunged"]) == ("pop3", "logged out", "1", "1")
    [line] = _events(running, "messages expunged")[deleted:]
    assert (line["user"], line["mailbox"], line["messages"]) == (running.demo, "INBOX", "1")


def test_t_auth_11_a_refused_login_names_an_account_of_ours_and_nothing_else_that_was_typed(running: Server) -> None:
    for name in (running.demo, running.demo.upper(), "hunter2"):
        pop = poplib.POP3_SSL("127.0.0.1", running.port("pop3s"), context=running.tls(), timeout=60)
        pop.user(name)
        with pytest.raises(poplib.error_proto):
            pop.pass_("hunter3")
        pop.close()
    ours, capitals, nobody = _events(running, "login refused")[-3:]
    assert (ours["user"], ours["peer"], ours["protocol"], ours["tls"]) == (running.demo, "127.0.0.1", "pop3", "TLSv1.3")
    assert (capitals["user"], capitals["account"]) == (running.demo.upper(), ours["account"]), "found by its account"
    assert (nobody["user"], nobody["account"]) == ("", "")
    assert "hunter" not in running.log_octets().decode()


def test_what_an_admin_does_by_commands_is_told_of_the_account_that_it_changes(running: Server) -> None:
    who = "erin@example.test"
    running.add_account(who)
    running.add_account("group-mate@example.test")
    for words in (
        ("mailboxes", who, "--create", "Plans"),
        ("mailboxes", who, "--rename", "Plans", "Old plans"),
        ("share", who, "Old plans", "--with", "group-mate@example.test", "--rights", "lrs"),
        ("quota", who, "--size", "2G"),
    ):
        running.run("account", *words)
    client = running.imap(who)
    client.append('"Old plans"', "", "", b"Subject: one\r\n\r\ntext\r\n")
    client.logout()
    running.run("account", "mailboxes", who, "--delete", "Old plans", "--yes")
    running.run("undelete", who, "--into", "Back", "--yes")
    for word in ("disable", "enable"):
        running.run("account", word, who)
    running.run("account", "remove", who, "--yes")
    found = {
        event: {name: value for name, value in of_it.items() if name not in ("timestamp", "level", "event", "account")}
        for event in (
            "mailbox made", "mailbox renamed", "rights set", "quota set", "mailbox deleted", "messages put back",
            "account disabled", "account enabled", "account removed",
        )
        for of_it in _events(running, event)
        if "by" in of_it
    }  # fmt: skip
    by = {"user": who, "by": whoever()}
    assert found == {
        "mailbox made": {**by, "mailbox": "Plans"},
        "mailbox renamed": {**by, "mailbox": "Plans", "to": "Old plans"},
        "rights set": {**by, "mailbox": "Old plans", "whom": "group-mate@example.test", "rights": "lrs"},
        "quota set": {**by, "size": "2G", "messages": ""},
        "mailbox deleted": {**by, "mailbox": "Old plans"},
        "messages put back": {**by, "mailbox": "Back", "messages": "1"},
        "account disabled": by,
        "account enabled": by,
        "account removed": by,
    }
