"""Real programs do over IMAP what people use them for, while another client changes the same mail."""

import imaplib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.clients import curl_asks
from support.processes import program
from support.server import Server, server
from support.syncing import fetchmail_empties, getmail_fetches, maildir, mbsync_syncs, offlineimap_syncs
from support.terminal import Terminal

MANY = 1000


@pytest.fixture(scope="module")
def target() -> Iterator[Server]:
    with server() as made:
        yield made


def letter(subject: str) -> bytes:
    head = (
        f"From: Ann <ann@example.net>\r\nTo: demo@example.test\r\nSubject: {subject}\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
    )
    return f"{head}Message-ID: <{subject}@example.net>\r\n\r\nthe text of {subject}\r\n".encode()


def fill(client: imaplib.IMAP4, mailbox: str, *subjects: str) -> None:
    """All in one packet."""
    octets = [letter(subject) for subject in subjects]
    client.send(b"".join(b"f%d APPEND %b {%d+}\r\n%b\r\n" % (n, mailbox.encode(), len(one), one) for n, one in enumerate(octets)))
    for n in range(len(octets)):
        while not (line := client.readline()).startswith(b"f%d " % n):
            assert line.startswith(b"* "), line
        assert line.startswith(b"f%d OK" % n), line


def account_of(target: Server, name: str) -> str:
    """A new account for one test."""
    target.add_account(f"{name}@example.test")
    return target.accounts[-1]


def there(client: imaplib.IMAP4, mailbox: str) -> dict[bytes, set[str]]:
    """The messages of a mailbox as `maildir` gives them."""
    letters = {b"\\Seen": "S", b"\\Flagged": "F", b"\\Answered": "R", b"\\Draft": "D", b"\\Deleted": "T"}
    _, (count,) = client.select(mailbox, readonly=True)
    found = {}
    _, answer = client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])") if count != b"0" else ("OK", [])
    for part in answer:
        if isinstance(part, tuple):
            flags = re.search(rb"FLAGS \(([^)]*)\)", part[0])
            assert flags is not None
            found[part[1].removeprefix(b"Subject: ").rstrip()] = {letters[flag] for flag in flags[1].split() if flag in letters}
    return found


def file_of(folder: Path, subject: str) -> Path:
    (file,) = [path for path in folder.rglob("*") if path.is_file() and f"Subject: {subject}\n".encode() in path.read_bytes()]
    return file


def change_file(folder: Path, subject: str, letters: str) -> None:
    """As a program does that reads the Maildir: the flags are in the name."""
    file = file_of(folder, subject)
    file.rename(folder / "cur" / f"{file.name.partition(':')[0]}:2,{letters}")


@pytest.mark.timeout(900)
def test_mbsync_keeps_a_thousand_messages_the_same_on_both_sides(target: Server, tmp_path: Path) -> None:
    account, inbox = account_of(target, "mbsync"), tmp_path / "mail/INBOX"
    with target.imap(account) as client:
        fill(client, "INBOX", *(f"n{number}" for number in range(MANY)))
        login = (account, target.password(account))
        assert mbsync_syncs(target, tmp_path, *login).count(b"BODY.PEEK[]") >= MANY
        assert len(maildir(inbox)) == MANY
        assert b"BODY.PEEK[]" not in mbsync_syncs(target, tmp_path, *login), "the second run downloads nothing"
        client.select("INBOX")
        client.store("1:2", "+FLAGS", "(\\Flagged)")
        client.store("3", "+FLAGS", "(\\Deleted)")
        client.expunge()
        client.uid("MOVE", "4", "Archive")
        fill(client, "INBOX", "by another client")
        change_file(inbox, "n10", "S")
        change_file(inbox, "n11", "RS")
        change_file(inbox, "n12", "T")
        (inbox / "cur/1.own:2,S").write_bytes(letter("by hand").replace(b"\r\n", b"\n"))
        (tmp_path / "mail/Sent/cur/2.own:2,S").write_bytes(letter("sent").replace(b"\r\n", b"\n"))
        assert mbsync_syncs(target, tmp_path, *login).count(b"BODY.PEEK[]") == 2
        for mailbox in ("INBOX", "Archive", "Sent", "Drafts", "Junk", "Trash"):
            assert maildir(tmp_path / "mail" / mailbox) == there(client, mailbox), mailbox
        found = maildir(inbox)
        assert len(found) == MANY - 3 + 2
        assert [found[name] for name in (b"n0", b"n10", b"n11", b"by hand")] == [{"F"}, {"S"}, {"R", "S"}, {"S"}]
        assert not {b"n2", b"n3", b"n12"} & found.keys()
        assert b"BODY.PEEK[]" not in mbsync_syncs(target, tmp_path, *login)


def test_offlineimap_keeps_both_sides_the_same(target: Server, tmp_path: Path) -> None:
    account, inbox = account_of(target, "offline"), tmp_path / "mail/INBOX"
    with target.imap(account) as client:
        fill(client, "INBOX", *(f"n{number}" for number in range(40)))
        login = (account, target.password(account))
        offlineimap_syncs(target, tmp_path, *login)
        assert len(maildir(inbox)) == 40
        client.select("INBOX")
        client.store("1", "+FLAGS", "(\\Flagged)")
        client.store("2", "+FLAGS", "(\\Deleted)")
        client.expunge()
        client.uid("MOVE", "3", "Archive")
        fill(client, "INBOX", "by another client")
        change_file(inbox, "n10", "RS")
        file_of(inbox, "n11").unlink()
        (tmp_path / "mail/Sent/cur/2.own:2,S").write_bytes(letter("sent").replace(b"\r\n", b"\n"))
        offlineimap_syncs(target, tmp_path, *login)
        assert b"BODY.PEEK[]" not in offlineimap_syncs(target, tmp_path, *login)
        for mailbox in ("INBOX", "Archive", "Sent", "Drafts", "Junk", "Trash"):
            assert maildir(tmp_path / "mail" / mailbox) == there(client, mailbox), mailbox
        assert maildir(inbox)[b"n10"] == {"R", "S"}
        assert len(maildir(inbox)) == 38


def test_fetchmail_empties_the_inbox(target: Server, tmp_path: Path) -> None:
    account = account_of(target, "fetchmail")
    with target.imap(account) as client:
        fill(client, "INBOX", "one", "two")
        fetched = fetchmail_empties(target, tmp_path, account, target.password(account))
        assert sorted(re.findall(rb"the text of (\w+)", b"".join(fetched))) == [b"one", b"two"]
        assert there(client, "INBOX") == {}
        assert fetchmail_empties(target, tmp_path, account, target.password(account)) == fetched


def test_getmail_fetches_what_is_new(target: Server, tmp_path: Path) -> None:
    account = account_of(target, "getmail")
    login = (account, target.password(account))
    with target.imap(account) as client:
        fill(client, "INBOX", "one", "two")
        fetched = getmail_fetches(target, tmp_path, *login)
        assert sorted(re.findall(rb"the text of (\w+)", b"".join(fetched))) == [b"one", b"two"]
        fill(client, "Archive", "three")
        client.select("INBOX")
        client.uid("MOVE", "1", "Archive")
        fetched = getmail_fetches(target, tmp_path, *login)
        assert sorted(re.findall(rb"the text of (\w+)", b"".join(fetched))) == [b"one", b"one", b"three", b"two"]
        assert len(getmail_fetches(target, tmp_path, *login)) == 4


def test_curl_lists_searches_flags_appends_and_deletes(target: Server, tmp_path: Path) -> None:
    account = account_of(target, "curl")

    def curl(place: str, *arguments: str) -> bytes:
        return curl_asks(target, tmp_path, account, target.password(account), place, *arguments)

    (tmp_path / "sent.eml").write_bytes(letter("sent"))
    with target.imap(account) as client:
        fill(client, "INBOX", "one", "two")
        assert b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"' in curl("")
        assert curl("INBOX?SUBJECT%20two") == b"* SEARCH 2\r\n"
        assert curl("INBOX/;UID=2/;SECTION=TEXT") == b"the text of two\r\n"
        curl("Sent", "--upload-file", str(tmp_path / "sent.eml"))
        curl("INBOX", "--request", "STORE 1 +FLAGS (\\Flagged \\Deleted)")
        assert b"FLAGS (\\Flagged \\Deleted" in curl("INBOX", "--request", "FETCH 1 FLAGS")
        curl("INBOX", "--request", "EXPUNGE")
        assert there(client, "INBOX") == {b"two": {"S"}}
        assert there(client, "Sent") == {b"sent": {"S"}}


def test_curl_shares_a_mailbox_and_imaplib_reads_and_files_in_it(target: Server, tmp_path: Path) -> None:
    owner, reader = account_of(target, "sharer"), account_of(target, "shared")

    def curl(request: str) -> bytes:
        return curl_asks(target, tmp_path, owner, target.password(owner), "", "--request", request)

    with target.imap(owner) as client:
        client.create("Team")
        fill(client, "Team", "one", "two")
        curl(f"SETACL Team {reader} lrswite")
        assert client.getacl("Team") == ("OK", [f'"Team" "{owner}" lrswipkxteacd "{reader}" lrswited'.encode()])
    assert curl("MYRIGHTS Team") == b'* MYRIGHTS "Team" lrswipkxteacd\r\n'
    assert curl(f"LISTRIGHTS Team {reader}") == f'* LISTRIGHTS "Team" "{reader}" "" l r s w i p k x t e a c d\r\n'.encode()
    team = f'"Other Users/{owner}/Team"'
    with target.imap(reader) as client:
        assert client.namespace() == ("OK", [b'(("" "/")) (("Other Users/" "/")) NIL'])
        assert client.myrights(team) == ("OK", [f"{team} lrswited".encode()])
        fill(client, "INBOX", "mine")
        client.select("INBOX")
        assert client.uid("MOVE", "1", team)[0] == "OK"
        assert there(client, "INBOX") == {}
        client.select(team)
        client.store("1", "+FLAGS", "(\\Deleted)")
        assert client.expunge() == ("OK", [b"1"])
        assert there(client, team) == {b"two": set(), b"mine": set()}
        curl(f"SETACL Team {reader} -swite")
        with pytest.raises(imaplib.IMAP4.readonly):
            client.select(team)
        told = target.json("account", "share", owner, "Team", "--with", reader, "--rights", "+i")
        assert told == [{"mailbox": "Team", "with": reader, "rights": "lri"}]
        for wrong in (("Team", "--with", owner, "--rights", "l"), ("Team", "--with", reader, "--rights", "Q"), ("Team",)):
            assert target.run("account", "share", owner, *wrong, check=False).returncode == 64
        assert "shares nothing" in target.run("account", "share", reader).stdout
        curl(f"DELETEACL Team {reader}")
        assert client.select(team)[0] == "NO"


@pytest.mark.parametrize("name", ["mutt", "neomutt"])
def test_mutt_reads_flags_and_files_in_a_shared_mailbox(target: Server, tmp_path: Path, name: str) -> None:
    """It asks MYRIGHTS for what it may do, and leaves out the rest. mutt would take the dots of the address for levels."""
    owner, reader = account_of(target, f"of{name}"), account_of(target, f"with{name}")
    team = f"Other Users/{owner}/Team"
    with target.imap(owner) as client:
        client.create("Team")
        fill(client, "Team", "one", "two", "three")
        client.setacl("Team", reader, "lrsw")
    folder = f"imap://localhost:{target.port('imap')}/"
    (tmp_path / "muttrc").write_text(
        f"""set ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=no certificate_file={target.folder / "tls/certificate.pem"}
set folder={folder} spoolfile=+INBOX imap_user={reader} imap_pass="{target.password(reader)}"
set sort=mailbox-order delete=yes quit=yes confirmappend=no confirmcreate=no wait_key=no
{'set imap_delim_chars="/"' if name == "mutt" else ""}
unset header_cache message_cachedir
"""
    )
    keys = f"<jump>1<enter><flag-message><jump>2<enter><pipe-message>cat >{tmp_path}/two.txt<enter><copy-message><kill-line>=Archive<enter><sync-mailbox><quit>"
    arguments = [program(name, name), "-n", "-F", str(tmp_path / "muttrc"), "-f", f"{folder}{team}", "-e", f"push '{keys}'"]
    with Terminal(arguments, tmp_path) as terminal:
        assert terminal.end() == 0, terminal.shown[-3000:]
    assert (tmp_path / "two.txt").exists(), terminal.shown[-3000:]
    assert "the text of two" in (tmp_path / "two.txt").read_text()
    with target.imap(owner) as client:
        assert {subject: "F" in flags for subject, flags in there(client, "Team").items()} == {
            b"one": True,
            b"two": False,
            b"three": False,
        }
    with target.imap(reader) as client:
        assert [*there(client, "Archive")] == [b"two"]


def test_alpine_reads_saves_deletes_and_hears_of_new_mail(target: Server, tmp_path: Path) -> None:
    account = account_of(target, "alpine")
    place = f"{{localhost:{target.port('imaps')}/ssl/novalidate-cert/user={account}}}"
    (tmp_path / "pinerc").write_text(
        f"""user-domain=example.test
inbox-path={place}INBOX
folder-collections=Mail {place}[]
feature-list=expunge-without-confirm,expunge-without-confirm-everywhere,quit-without-confirm,quell-folder-internal-msg
last-version-used=9.9
"""
    )
    command = [program("alpine", "alpine"), "-p", str(tmp_path / "pinerc"), "-i"]
    with target.imap(account) as client, Terminal(command, tmp_path) as alpine:
        fill(client, "INBOX", "one", "two", "three")
        alpine.until("ENTER PASSWORD", f"{target.password(account)}\r")
        alpine.until("Preserve password", "n")
        alpine.until("opened with 3 messages", "v")
        alpine.until("the text of one", "n")
        alpine.until("the text of two", "sArchive\rn")
        alpine.until("the text of three", "d<")
        alpine.until("MESSAGE INDEX", "x")
        fill(client, "INBOX", "four")
        alpine.until("", "\x0c")
        alpine.until("four", "q")
        assert alpine.end() == 0
        assert there(client, "INBOX") == {b"one": {"S"}, b"four": set()}
        assert [*there(client, "Archive")] == [b"two"]
