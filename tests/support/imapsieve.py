"""Scripts that IMAP commands meet, and what mailboxes hold after them: one table for our server and for Dovecot's."""

import imaplib
import re
from collections.abc import Callable
from dataclasses import dataclass

MAILBOXES = ("INBOX", "Archive", "Target")
MESSAGE = b"Subject: one\r\nFrom: a@example.net\r\n\r\nbody\r\n"
APPEND = "APPEND"
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_SUBJECT = re.compile(rb"Subject: *([^\r\n]*)", re.IGNORECASE)


@dataclass(frozen=True)
class ImapCase:
    """commands: `APPEND` is one message into the INBOX; the others are sent with the INBOX selected. becomes: for each mailbox that
    is not empty, each message's subject and flags. differs: what Dovecot makes of it, None for the same: it stores changed messages anew,
    against RFC 6785 section 3.1.
    """

    name: str
    script: str
    commands: tuple[str, ...]
    becomes: dict[str, tuple[str, ...]]
    differs: dict[str, tuple[str, ...]] | None = None


def on(cause: str, what: str, *more: str) -> str:
    """A script that does something after this cause."""
    required = ", ".join(f'"{name}"' for name in ("imapsieve", "environment", "imap4flags", "fileinto", "copy", *more))
    return f'require [{required}];\nif environment :is "imap.cause" "{cause}" {{ {what} }}\n'


COPY = (APPEND, "COPY 1 Archive")
CASES = (
    ImapCase("nothing", "", COPY, {"INBOX": ("one",), "Archive": ("one",)}),
    ImapCase("flags of what is appended", on("APPEND", 'addflag ["\\\\Flagged", "$Work"];'), COPY,
             {"INBOX": ("one $Work \\Flagged",), "Archive": ("one $Work \\Flagged",)}),
    ImapCase("flags of what is copied", on("COPY", 'addflag "\\\\Flagged";'), COPY, {"INBOX": ("one",), "Archive": ("one \\Flagged",)}),
    ImapCase("keep with flags", on("COPY", 'keep :flags "$Work";'), (APPEND, "STORE 1 FLAGS (\\Seen)", "COPY 1 Archive"),
             {"INBOX": ("one \\Seen",), "Archive": ("one $Work",)}),
    ImapCase("a flag that is taken away", on("COPY", 'removeflag "\\\\Seen";'), (APPEND, "STORE 1 FLAGS (\\Seen $A)", "COPY 1 Archive"),
             {"INBOX": ("one $A \\Seen",), "Archive": ("one $A",)}),
    ImapCase("fileinto", on("COPY", 'fileinto "Target";'), COPY, {"INBOX": ("one",), "Archive": ("one \\Deleted",), "Target": ("one",)}),
    ImapCase("fileinto :copy", on("COPY", 'fileinto :copy :flags "\\\\Seen" "Target";'), COPY,
             {"INBOX": ("one",), "Archive": ("one",), "Target": ("one \\Seen",)}),
    ImapCase("fileinto where it is", on("COPY", 'fileinto "Archive";'), COPY, {"INBOX": ("one",), "Archive": ("one",)}),
    ImapCase("fileinto of a message that was moved", on("COPY", 'fileinto "Target"; keep;'), (APPEND, "MOVE 1 Archive"),
             {"Archive": ("one",), "Target": ("one",)}),
    ImapCase("fileinto nowhere", on("COPY", 'fileinto "Nowhere";'), COPY, {"INBOX": ("one",), "Archive": ("one",)}),
    ImapCase("discard", on("APPEND", "discard;"), (APPEND,), {"INBOX": ("one \\Deleted",)}),
    ImapCase("discard and keep", on("APPEND", "discard; keep;"), (APPEND,), {"INBOX": ("one",)}),
    ImapCase("a flag that is set", on("FLAG", 'if allof (hasflag "\\\\Flagged", environment :contains "imap.changedflags" "\\\\Flagged")'
             ' { fileinto :copy "Target"; }'), (APPEND, "STORE 1 +FLAGS (\\Seen)", "STORE 1 +FLAGS (\\Flagged)", "STORE 1 +FLAGS ($A)"),
             {"INBOX": ("one $A \\Flagged \\Seen",), "Target": ("one \\Flagged \\Seen",)}),
    ImapCase("a flag that is cleared", on("FLAG", 'if not hasflag "\\\\Flagged" { fileinto :copy "Target"; }'),
             (APPEND, "STORE 1 FLAGS (\\Flagged)", "STORE 1 FLAGS ()"), {"INBOX": ("one",), "Target": ("one",)}),
    ImapCase("a flag that was there", on("FLAG", 'fileinto :copy "Target";'),
             (APPEND, "STORE 1 FLAGS (\\Flagged)", "STORE 1 FLAGS (\\Flagged)"), {"INBOX": ("one \\Flagged",), "Target": ("one \\Flagged",)}),
    ImapCase("flags that a script sets run no script", on("FLAG", 'addflag "$Again"; fileinto :copy "Target";'),
             (APPEND, "STORE 1 FLAGS (\\Flagged)"), {"INBOX": ("one $Again \\Flagged",), "Target": ("one $Again \\Flagged",)}),
    ImapCase("a message that is read", on("FLAG", 'if environment "imap.changedflags" "\\\\Seen" { addflag "$Read"; }'),
             (APPEND, "FETCH 1 BODY[]"), {"INBOX": ("one $Read \\Seen",)}),
    ImapCase("only one mailbox", on("COPY", 'if environment "imap.mailbox" "Archive" { addflag "$A"; }'),
             (APPEND, "COPY 1 Archive", "COPY 1 Target"), {"INBOX": ("one",), "Archive": ("one $A",), "Target": ("one",)}),
    ImapCase("a header that is changed", on("COPY", 'addheader :last "X-Seen" "yes"; deleteheader "Subject";'
             ' addheader "Subject" "two"; fileinto :copy "Target";', "editheader"), COPY,
             {"INBOX": ("one",), "Archive": ("one",), "Target": ("two",)},
             differs={"INBOX": ("one",), "Archive": ("one \\Deleted", "two"), "Target": ("two",)}),
    ImapCase("a mailbox that is made", on("COPY", 'fileinto :create "Archive/New";', "mailbox"), COPY,
             {"INBOX": ("one",), "Archive": ("one \\Deleted",), "Archive/New": ("one",)}),
    ImapCase("where and when", 'require ["environment", "imap4flags"];\n'
             'if environment :is "location" "MS" { if environment "phase" "post" { addflag "$There"; } }', (APPEND,),
             {"INBOX": ("one $There",)}),
    ImapCase("who", on("APPEND", 'if environment :contains "imap.user" "@example." { addflag "$Who"; }'), (APPEND,),
             {"INBOX": ("one $Who",)}),
)  # fmt: skip


def carried_out(client: imaplib.IMAP4, commands: tuple[str, ...], settled: Callable[[], None] = lambda: None) -> None:
    """settled: waits until the script has met what a command did, where it runs behind the reply: the next one may change its flags."""
    for name in MAILBOXES[1:]:
        client.create(name)
    for command in commands:
        if command == APPEND:
            assert client.append("INBOX", "", "", MESSAGE)[0] == "OK"
            assert client.select("INBOX")[0] == "OK"
        else:
            word, _, rest = command.partition(" ")
            assert client.xatom(word, rest)[0] == "OK", command
            client.untagged_responses.clear()
        settled()


def contents(client: imaplib.IMAP4) -> dict[str, tuple[str, ...]]:
    """Of the mailboxes that are not empty: subject and flags of each message."""
    found = {}
    _, listed = client.list()
    names = [line.decode().rpartition(' "/" ')[2].strip('"') for line in listed if isinstance(line, bytes)]
    for name in names:
        assert client.select(f'"{name}"', readonly=True)[0] == "OK"
        _, lines = client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER])") if client.response("EXISTS")[1] != [b"0"] else ("", [])
        octets = b"".join(b"".join(line) if isinstance(line, tuple) else line or b"" for line in lines)
        flags = [sorted({*match.decode().split()} - {"\\Recent"}) for match in _FLAGS.findall(octets)]
        subjects = [match.decode() for match in _SUBJECT.findall(octets)]
        assert len(flags) == len(subjects)
        if flags:
            found[name] = tuple(" ".join([subject, *some]) for subject, some in zip(subjects, flags, strict=True))
    return found


def emptied(client: imaplib.IMAP4) -> None:
    """For the next case."""
    for name in ("Archive/New", *MAILBOXES[1:]):
        client.delete(name)
    assert client.select("INBOX")[0] == "OK"
    client.uid("STORE", "1:*", "FLAGS", "(\\Deleted)")
    assert client.expunge()[0] == "OK"
