"""IMAP over real sockets and TLS with the standard library's client, and raw where a client would not go."""

import imaplib
import re
import socket
from collections.abc import Iterator, Sequence

import pytest

from mailward.access.imap.capabilities import SAVE_LIMIT
from mailward.access.imap.commands import copy
from mailward.model.limits import MailLimits
from mailward.net.imapd import ImapSettings
from support.imap_server import LOGIN, MESSAGE, ImapServer, read_until


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImapServer]:
    running = ImapServer(tmp_path_factory.mktemp("i"))
    yield running
    running.close()


@pytest.fixture
def client(server: ImapServer) -> Iterator[imaplib.IMAP4_SSL]:
    made = server.connect()
    yield made
    made.logout()


Answer = Sequence[bytes | tuple[bytes, bytes] | None]
"""What imaplib makes of untagged responses: a literal is the second of a pair, an absent response None."""


def _fetched(answer: Answer) -> bytes:
    return b"".join(b"".join(p) if isinstance(p, tuple) else p for p in answer if p)


def _literal(answer: Answer) -> bytes:
    """The literal of the first response."""
    first = answer[0]
    assert isinstance(first, tuple), first
    return first[1]


def test_append_and_fetch_give_the_octets_back(client: imaplib.IMAP4_SSL) -> None:
    status, (text,) = client.append("INBOX", "(\\Seen $Label)", '" 2-Nov-2026 10:00:00 +0000"', MESSAGE)
    assert status == "OK"
    assert re.match(rb"\[APPENDUID \d+ 1\]", text)
    assert client.select("INBOX") == ("OK", [b"1"])
    _, answer = client.fetch("1", "(BODY[] FLAGS INTERNALDATE RFC822.SIZE)")
    assert _literal(answer) == MESSAGE
    rest = _fetched(answer)
    assert b"FLAGS (\\Recent \\Seen $Label)" in rest
    assert b'INTERNALDATE " 2-Nov-2026 10:00:00 +0000"' in rest
    assert b"RFC822.SIZE %d" % len(MESSAGE) in rest


def test_what_may_not_be_copied_at_once_is_moved_in_steps(
    server: ImapServer, client: imaplib.IMAP4_SSL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SAVELIMIT (RFC 9738)."""
    assert b"SAVELIMIT=%d" % SAVE_LIMIT in client.capability()[1][0].split()
    monkeypatch.setattr(copy, "SAVE_LIMIT", 2)
    for _ in range(3):
        server.deliver()
    client.select("INBOX")
    assert client.copy("1:3", "Archive")[1][0] == b"[MESSAGELIMIT 2 2] At most 2 messages are copied at once"
    assert client._simple_command("MOVE", "1:3", "Archive")[0] == "OK"
    assert client.response("EXPUNGE")[1] == [b"2", b"1", b"1"]
    assert client.select("Archive") == ("OK", [b"3"])


def test_list_returns_annotations(client: imaplib.IMAP4_SSL) -> None:
    assert "LIST-METADATA" in client.capabilities
    client.xatom("SETMETADATA", "INBOX", '(/private/comment "mine")')
    client._simple_command("LIST", '""', "INBOX", "RETURN (METADATA (/private/comment /shared/comment))")
    assert client.response("LIST")[1] == [b'(\\HasNoChildren) "/" "INBOX"']
    assert client.response("METADATA")[1] == [b'"INBOX" (/private/comment "mine" /shared/comment NIL)']


def test_parts_of_a_message(server: ImapServer, client: imaplib.IMAP4_SSL) -> None:
    server.deliver()
    client.select("INBOX")
    for item, octets in (
        ("BODY.PEEK[HEADER]", MESSAGE[: MESSAGE.index(b"hello")]),
        ("BODY.PEEK[TEXT]", b"hello there\r\n"),
        ("BODY.PEEK[1]", b"hello there\r\n"),
        ("BODY.PEEK[HEADER.FIELDS (Subject From)]", b"From: Ann <ann@example.net>\r\nSubject: first\r\n\r\n"),
        ("BODY.PEEK[]<6.5>", MESSAGE[6:11]),
        ("RFC822.HEADER", MESSAGE[: MESSAGE.index(b"hello")]),
    ):
        _, answer = client.fetch("1", f"({item})")
        assert _literal(answer) == octets, item
    _, answer = client.fetch("1", "(FLAGS)")
    assert answer == [b"1 (FLAGS (\\Recent))"], "PEEK and RFC822.HEADER do not set \\Seen"
    assert client.fetch("1", "(BODY.PEEK[]<5000.5>)")[1][0] == (b"1 (BODY[]<5000> {0}", b"")
    _, answer = client.fetch("1", "(ENVELOPE BODYSTRUCTURE)")
    assert b'"first" (("Ann" NIL "ann" "example.net"))' in _fetched(answer)
    assert b'BODYSTRUCTURE ("TEXT" "PLAIN"' in _fetched(answer).upper()


def test_body_sets_seen_and_says_so(server: ImapServer, client: imaplib.IMAP4_SSL) -> None:
    server.deliver()
    client.select("INBOX")
    _, answer = client.fetch("1", "(BODY[TEXT])")
    assert b"FLAGS (\\Recent \\Seen)" in _fetched(answer)
    assert client.search(None, "UNSEEN") == ("OK", [b""])


def test_flags(server: ImapServer, client: imaplib.IMAP4_SSL) -> None:
    for _ in range(3):
        server.deliver()
    client.select("INBOX")
    client.close()
    client.select("INBOX")  # nothing is recent any more
    both = [b"1 (UID 1 FLAGS (\\Flagged $Work))", b"2 (UID 2 FLAGS (\\Flagged $Work))"]
    assert client.store("1:2", "+FLAGS", "(\\Flagged $Work)")[1] == both
    assert client.store("2", "-FLAGS", "\\Flagged")[1] == [b"2 (UID 2 FLAGS ($Work))"]
    assert client.store("3", "FLAGS.SILENT", "(\\Deleted)")[1] == [None]
    assert client.uid("STORE", "1", "+FLAGS", "(\\Flagged)")[1] == [b"1 (UID 1 FLAGS (\\Flagged $Work))"]
    assert client.search(None, "KEYWORD", "$Work", "NOT", "FLAGGED") == ("OK", [b"2"])
    assert client.expunge() == ("OK", [b"3"])


def test_move_copy_and_what_plugins_learn_of_it(server: ImapServer, client: imaplib.IMAP4_SSL) -> None:
    server.deliver()
    server.deliver(MESSAGE.replace(b"first", b"second"))
    client.select("INBOX")
    status, _ = client._simple_command("MOVE", "1", "Junk")
    assert status == "OK"
    assert b"COPYUID" in _fetched(client.untagged_responses.get("OK", []) or client.untagged_responses.get("COPYUID", []))
    while not server.moves:  # they are told behind the reply
        assert client.noop()[0] == "OK"
    assert [(m.source, m.target, m.target_is_junk) for m in server.moves] == [("INBOX", "Junk", True)]
    assert server.moves[0].octets == MESSAGE
    status, (text,) = client.copy("1", "Archive")
    assert (status, b"COPYUID" in text) == ("OK", True)
    assert len(server.moves) == 1
    assert client.select("Archive") == ("OK", [b"1"])
    assert client.copy("1", "Nowhere")[0] == "NO"


def test_what_plugins_learn_of_keywords_that_thunderbird_stores(server: ImapServer, client: imaplib.IMAP4_SSL) -> None:
    server.deliver()
    client.select("INBOX")
    for mode, keyword in (("+FLAGS", "NonJunk"), ("-FLAGS", "Junk"), ("+FLAGS", "Junk"), ("-FLAGS", "NonJunk")):
        assert client.uid("STORE", "1", mode, f"({keyword})")[0] == "OK"
    while len(server.classified) < 2:  # they are told behind the reply
        assert client.noop()[0] == "OK"
    assert [(one.account, one.kind, one.by) for one in server.classified] == [("a1", "ham", "keyword"), ("a1", "spam", "keyword")]
    assert server.classified[0].octets == MESSAGE


def test_mailboxes(client: imaplib.IMAP4_SSL) -> None:
    _, listed = client.list()
    assert b'(\\HasNoChildren \\Junk) "/" "Junk"' in listed
    assert client.create("Lists/R&AOk-sum&AOk-")[0] == "OK"
    assert client.create("Lists/R&AOk-sum&AOk-")[0] == "NO"
    _, listed = client.list('""', "Lists/%")
    assert listed == [b'(\\HasNoChildren) "/" "Lists/R&AOk-sum&AOk-"']
    _, listed = client.list('""', "%")
    assert any(line.startswith(b"(\\HasChildren") and line.endswith(b'"Lists"') for line in listed if isinstance(line, bytes))
    assert client.rename("Lists/R&AOk-sum&AOk-", "Lists/plain")[0] == "OK"
    assert client.status("Lists/plain", "(MESSAGES UIDNEXT UNSEEN)") == ("OK", [b'"Lists/plain" (MESSAGES 0 UIDNEXT 1 UNSEEN 0)'])
    assert client.delete("Lists/plain")[0] == "OK"
    assert client.delete("INBOX")[0] == "NO"
    assert client.subscribe("Archive")[0] == "OK"
    assert client.unsubscribe("Archive")[0] == "OK"
    assert not any(b"Archive" in line for line in client.lsub()[1])


def test_search(server: ImapServer, client: imaplib.IMAP4_SSL) -> None:
    server.deliver()
    server.deliver(MESSAGE.replace(b"first", b"=?utf-8?q?R=C3=A9sum=C3=A9?=").replace(b"hello", b"goodbye"))
    client.select("INBOX")
    for keys, found in (
        (("ALL",), b"1 2"),
        (("SUBJECT", "FIRST"), b"1"),
        (("TEXT", "goodbye"), b"2"),
        (("BODY", "hello"), b"1"),
        (("OR", "BODY", "hello", "SUBJECT", "nothing"), b"1"),
        (("NOT", "BODY", "hello"), b"2"),
        (("FROM", "ann"), b"1 2"),
        (("HEADER", "Message-ID", "<1@"), b"1 2"),
        (("HEADER", "X-None", '""'), b""),
        (("SINCE", "2-Nov-2026"), b"1 2"),
        (("BEFORE", "2-Nov-2026"), b""),
        (("SENTON", "2-Nov-2026"), b"1 2"),
        (("LARGER", "10", "SMALLER", "100000"), b"1 2"),
        (("UID", "2:*"), b"2"),
        (("2:*", "UNSEEN"), b"2"),
        (("OLDER", "10"), b"1 2"),
    ):
        assert client.search(None, *keys) == ("OK", [found]), keys
    assert client.search("UTF-8", "SUBJECT", '"first"') == ("OK", [b"1"])
    assert client.search("KOI8-R", "ALL")[0] == "NO"
    assert client.uid("SEARCH", "ALL") == ("OK", [b"1 2"])


def test_two_sessions_see_each_others_changes(server: ImapServer, client: imaplib.IMAP4_SSL) -> None:
    for _ in range(3):
        server.deliver()
    other = server.connect()
    client.select("INBOX")
    other.select("INBOX")
    other.store("1", "+FLAGS", "(\\Deleted)")
    other.expunge()
    _, answer = client.fetch("3", "(UID)")
    assert answer[0] == b"3 (UID 3)", "numbers hold until the session is told (RFC 3501 section 7.4.1)"
    assert "EXPUNGE" not in client.untagged_responses
    client.untagged_responses.clear()
    client.noop()
    assert client.response("EXPUNGE") == ("EXPUNGE", [b"1"])
    assert client.fetch("2", "(UID)")[1] == [b"2 (UID 3)"]
    other.logout()


def test_idle_tells_of_new_mail_and_takes_the_next_command_in_the_same_packet(server: ImapServer) -> None:
    with server.client_context.wrap_socket(socket.create_connection(("127.0.0.1", server.tls_port), 20)) as raw:
        read_until(raw, b"\r\n")
        raw.sendall(b'a LOGIN bob@example.org "pass \\"word\\""\r\nb SELECT INBOX\r\nc IDLE\r\n')
        read_until(raw, b"+ idling\r\n")
        server.deliver()
        read_until(raw, b"* 1 EXISTS\r\n")
        raw.sendall(b"DONE\r\nd NOOP\r\n")
        assert b"c OK" in read_until(raw, b"d OK")


@pytest.mark.parametrize("command", [b"a LOGIN bob@example.org secret", b"a AUTHENTICATE PLAIN AGJvYgBwdw=="])
def test_t_tls_11_no_login_without_tls(server: ImapServer, command: bytes) -> None:
    with server.raw() as raw:
        greeting = read_until(raw, b"\r\n")
        assert b"LOGINDISABLED" in greeting
        assert b"AUTH=" not in greeting
        raw.sendall(command + b"\r\n")
        assert read_until(raw, b"a ").startswith(b"a NO [PRIVACYREQUIRED]")


def test_starttls_and_the_capabilities_after_it(server: ImapServer) -> None:
    client = imaplib.IMAP4("127.0.0.1", server.plain_port, timeout=20)
    assert client.starttls(server.client_context)[0] == "OK"
    assert "AUTH=PLAIN" in client.capabilities
    assert "STARTTLS" not in client.capabilities
    assert client.authenticate("PLAIN", lambda _: b'\x00bob@example.org\x00pass "word"')[0] == "OK"
    client.logout()


def test_t_tls_02_nothing_sent_in_clear_behind_starttls_is_carried_out(server: ImapServer) -> None:
    with server.raw() as raw:
        read_until(raw, b"\r\n")
        raw.sendall(b"a1 STARTTLS\r\na2 NOOP\r\n")
        octets = b""
        while more := raw.recv(4096):
            octets += more
        assert b"a2" not in octets
        assert b"a1 OK" not in octets


def test_t_auth_03_unknown_name_and_wrong_password_look_alike(server: ImapServer) -> None:
    said = []
    for name in ("bob@example.org", "nobody@example.org"):
        client = imaplib.IMAP4_SSL("127.0.0.1", server.tls_port, ssl_context=server.client_context, timeout=20)
        with pytest.raises(imaplib.IMAP4.error) as caught:
            client.login(name, "wrong")
        said.append(str(caught.value))
        client.logout()
    assert said[0] == said[1] == "b'[AUTHENTICATIONFAILED] Authentication failed.'" or said[0] == said[1]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"a LOGIN {4294967295}\r\n", b"a NO [LIMIT]"),
        (b"a LOGIN {99999999999999999999}\r\n", b"a NO [LIMIT]"),
        (b"a LOGIN {-1}\r\n", b"a BAD"),
        (b"a NOOP {5000+}\r\n" + b"x" * 5000 + b"\r\nb NOOP\r\n", b"b OK"),
        (b"a LOGIN {9000+}\r\n" + b"x DELETE INBOX\r\n" * 562 + b"12345678" + b" p\r\nb NOOP\r\n", b"b OK"),
        (b"a FETCH 1 " + b"(" * 3000 + b"\r\n", b"a BAD"),
        (b'a LOGIN "u\x00" p\r\n', b"a BAD"),
        (b"a NOOP\nb NOOP\r\n", b"BYE"),
        (b"a " + b"x" * 20000, b"BYE"),
        (b"\r\n", b"* BAD"),
        (b"NOOP\r\n", b"* BAD"),
        (b"a NOSUCH\r\n", b"a BAD"),
        (b"a SELECT INBOX\r\n", b"a BAD"),
    ],
)
def test_t_imap_01_02_04_05_hostile_input_before_login(server: ImapServer, sent: bytes, answer: bytes) -> None:
    with server.raw() as raw:
        read_until(raw, b"\r\n")
        raw.sendall(sent)
        assert b"DELETE" not in read_until(raw, answer)


def test_many_bad_commands_end_the_session(server: ImapServer) -> None:
    with server.raw() as raw:
        read_until(raw, b"\r\n")
        raw.sendall(b"a NOSUCH\r\n" * 30)
        read_until(raw, b"* BYE Too many bad commands")


@pytest.mark.parametrize("name", ["../../etc", "a//b", "a*b", "&AAA", "&AGE-", "x" * 600, "/".join("abcdefghijklmnopqrstuvwxyz")])
def test_t_imap_13_names_that_cannot_be(client: imaplib.IMAP4_SSL, name: str) -> None:
    assert client.create(f'"{name}"')[0] == "NO"


def test_t_imap_15_an_append_that_is_too_big_is_refused_and_the_session_goes_on(
    server: ImapServer, client: imaplib.IMAP4_SSL
) -> None:
    status, (text,) = client.append("INBOX", None, None, b"x" * 1_000_001)
    assert (status, text[:8]) == ("NO", b"[TOOBIG]")
    assert client.noop()[0] == "OK"


def test_shutdown_says_bye(tmp_path_factory: pytest.TempPathFactory) -> None:
    running = ImapServer(tmp_path_factory.mktemp("i"))
    client = running.connect()
    running.close()
    assert client.sock.recv(200).startswith(b"* BYE Server is shutting down")


def test_objects_save_dates_and_previews(server: ImapServer, client: imaplib.IMAP4_SSL) -> None:
    server.deliver()
    assert re.fullmatch(rb'"?INBOX"? \(MAILBOXID \(F1\)\)', _fetched(client.status("INBOX", "(MAILBOXID)")[1]))
    client.select()
    told = _fetched(client.fetch("1", "(EMAILID THREADID PREVIEW SAVEDATE)")[1])
    assert re.fullmatch(rb'1 \(EMAILID \(M1\) THREADID \(T1\) PREVIEW "hello there" SAVEDATE "[^"]{26}"\)', told)
    assert client.search(None, "EMAILID M1 THREADID T1 SAVEDSINCE 1-Jan-2020")[1] == [b"1"]


def test_a_mailbox_is_created_with_a_special_use(client: imaplib.IMAP4_SSL) -> None:
    assert client.delete("Archive")[0] == "OK"
    assert client._simple_command("CREATE", "Old", "(USE (\\Archive))")[0] == "OK"
    assert client.list('""', "Old")[1] == [b'(\\HasNoChildren \\Archive) "/" "Old"']


def test_imap4rev2_is_told_nothing_of_recent_messages_and_searches_by_esearch(
    server: ImapServer, client: imaplib.IMAP4_SSL
) -> None:
    server.deliver()
    assert "IMAP4REV2" in client.capabilities
    assert client.enable("IMAP4rev2")[0] == "OK"
    assert client.response("ENABLED")[1] == [b"IMAP4rev2"]
    assert client.select("INBOX") == ("OK", [b"1"])
    assert "RECENT" not in client.untagged_responses
    assert client.response("LIST")[1] == [b'() "/" "INBOX"']
    assert client.search(None, "ALL")[0] == "OK"
    (esearch,) = client.response("ESEARCH")[1]
    assert isinstance(esearch, bytes)
    assert esearch.endswith(b" ALL 1")
    assert client.fetch("1", "(FLAGS)")[1] == [b"1 (FLAGS ())"]


def test_several_mailboxes_are_searched_at_once(server: ImapServer, client: imaplib.IMAP4_SSL) -> None:
    """MULTISEARCH (RFC 7377), with nothing selected."""
    assert "MULTISEARCH" in client.capabilities
    server.deliver()
    client.append("Archive", "", "", MESSAGE)
    client.append("Sent", "", "", b"Subject: another\r\n\r\nx\r\n")
    client.xatom("ESEARCH", "IN (personal)", "RETURN (ALL)", "SUBJECT first")
    found = [reply.split() for reply in client.response("ESEARCH")[1] if isinstance(reply, bytes)]
    assert [(words[3], words[-1]) for words in found] == [(b'"INBOX"', b"1"), (b'"Archive"', b"1")]


def test_a_sort_is_kept_up_to_date(server: ImapServer, client: imaplib.IMAP4_SSL) -> None:
    """CONTEXT=SORT (RFC 5267)."""
    assert "CONTEXT=SORT" in client.capabilities
    server.deliver()
    client.select("INBOX")
    client.uid("SORT", "RETURN (UPDATE ALL)", "(SUBJECT)", "UTF-8", "ALL")
    (first,) = client.response("ESEARCH")[1]
    client.append("INBOX", "", "", b"Subject: early\r\n\r\nx\r\n")
    (second,) = client.response("ESEARCH")[1]
    assert isinstance(first, bytes) and isinstance(second, bytes)
    tag = first.partition(b")")[0]
    assert (first, second) == (tag + b") UID ALL 1", tag + b") UID ADDTO (1 2)")


def test_what_is_switched_off_at_a_listener_is_neither_offered_nor_enabled(tmp_path_factory: pytest.TempPathFactory) -> None:
    off = frozenset({"QRESYNC", "COMPRESS=DEFLATE"})
    server = ImapServer(tmp_path_factory.mktemp("i"), ImapSettings(capabilities_off=off))
    client = server.connect()
    assert not off & {*client.capabilities}
    assert client.capability()[1][0].count(b"CONDSTORE") == 1
    assert not any(name.encode() in client.capability()[1][0] for name in off)
    client.enable("QRESYNC CONDSTORE")
    assert client.response("ENABLED")[1] == [b"CONDSTORE"]
    client.logout()
    with server.client_context.wrap_socket(socket.create_connection(("127.0.0.1", server.tls_port), 60)) as raw:
        raw.sendall(LOGIN + b"b COMPRESS DEFLATE\r\n")
        assert b"b NO [CANNOT]" in read_until(raw, b"b NO")
    server.close()


def test_quotas_are_told_in_the_librarys_words(server: ImapServer, client: imaplib.IMAP4_SSL) -> None:
    server.deliver()
    assert client.getquotaroot("INBOX") == ("OK", [[b'"INBOX"'], [None]]), "nobody has said how much the account may hold"
    server.limits = MailLimits(octets=2048, messages=1)
    assert client.getquota('""') == ("OK", [b'"" (STORAGE 1 2 MESSAGE 1 1)'])
    assert client.getquotaroot("INBOX")[1] == [[b'"INBOX" ""'], [b'"" (STORAGE 1 2 MESSAGE 1 1)']]
    said = client.append("INBOX", "", "", MESSAGE)
    assert said[0] == "NO" and (said[1][0] or b"").startswith(b"[OVERQUOTA] ")
