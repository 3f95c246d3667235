"""Apache James' IMAP dialogues against a real server: codes and data, not James' own words.

Each script has an account of its own, and what the test class of James sets up: it is logged in, or begins before that; a mailbox
`selected` with four messages; mailboxes that boby shares. James' delimiter is ".", ours "/".
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from mailward.app.config_file import load_config
from mailward.directory import CredentialStore, Directory
from mailward.formats.address import parse_mailbox
from support.corpora import corpus_members
from support.mpt import Step, steps_of
from support.mpt_imap import Voice, differences, unmatched, wanted_by
from support.server import PASSWORD, Server, server
from support.stated_rows import Row, explain

OURS = (
    Row(r".*", r"\w+ EXAMINE .*", "RFC 9051 6.3.3: no changes to the permanent state are permitted, so PERMANENTFLAGS has none"),
    Row(r"BadTag|JustTag|NoCommand", r".*", "RFC 9051 7.1.3: BAD is a protocol error; BYE is not its answer"),
    Row(r"LoginThreeStrikes", r"a005 .*", "RFC 9051 6.2.3: NO is a login failure; how many there may be is the server's own"),
    Row(
        r"Valid(?:NonAuthenticated|Selected)", r".*", "RFC 9051 3: a command in an inappropriate state is answered with BAD or NO"
    ),
    Row(
        r"ComplexMail",
        r"A151 LOGOUT",
        "RFC 2180 3.3: who has a mailbox selected that is deleted may be told BYE, as here behind DELETE",
    ),
    Row(
        r"ConcurrentDeleteSelected", r"1A NOOP", "RFC 2180 3.3: the session may end, and it may go on until it is told of changes"
    ),
    Row(
        r"AppendExamineInbox",
        r"a RENAME INBOX .*",
        "RFC 9051 6.3.6: the messages of INBOX are moved, and 7.5.1: a client that sees it hears of that",
    ),
    Row(r"RenameInbox", r"A4 SELECT INBOX", "RFC 9051 2.3.1.1: UIDs only rise, also in an INBOX whose messages were moved away"),
    Row(r"Create", r"15 CREATE //", "RFC 9051 6.3.4: NO is for a name that cannot be created; BAD is a matter of syntax"),
    Row(
        r"Create",
        r".*one.*",
        "RFC 3501 5.1.3: modified BASE64 must not stand for what can represent itself, so this is no name",
    ),
    Row(r"Create", r"22 CREATE #user", "RFC 9051 5.1.1: such names are a convention; here nothing else is meant by it"),
    Row(r"Fetch.*Structure.*", r"\w+ FETCH 1:\* \(\)", "RFC 9051 9: in the brackets is one fetch-att at least"),
    Row(r"FetchSingleMessage", r"f1[678] .*", "RFC 9051 9: ALL, FULL and FAST stand alone, not in brackets"),
    Row(
        r"FetchMultipartBodyStructure",
        r"A27 .*",
        "RFC 3986 2.2: brackets are part of URIs, so none are cut out of Content-Location; Dovecot answers as we do",
    ),
    Row(r"FetchNILSaveDate", r"f FETCH .*", "RFC 8514 4.2: NIL is for mailboxes without save dates; this one has them"),
    Row(r"Id", r"a0 .*|.*102\.7\.1\"\)", "RFC 2971 3.2: a server may say who it is"),
    Row(r"Id", r".*vendor.*|.* 102\.7\.1\)", "RFC 2971 4: strings with a space between them, no commas and no atoms"),
    Row(
        r"ListNamespace",
        r"e[23] .*",
        "RFC 9051 6.3.9: the root of a reference; there is no #private here, so its root is that of all names",
    ),
    Row(
        r"ListWithPercentWildcardInMailboxName",
        r".*(?:star\*|percent%).*|B0[56] .*",
        "RFC 9051 5.1: names with list-wildcards are not recommended; here none are made",
    ),
    Row(r"MoveNoMSG", r"a4 .*", "RFC 9051 6.4.9: a UID that is not there is ignored without any error"),
    Row(r"Namespace", r".*", "RFC 2342 5: namespaces have the names that a server gives them"),
    Row(r"RenameHierarchy", r".* LIST .*|A18 DELETE .*", "RFC 9051 6.3.6: names above the new one are made, and then are listed"),
    Row(
        r"RenameSharedMailbox|SharingAccess.*",
        r"a(?:0|12) LIST .*",
        "RFC 9051 6.3.9: levels that are no mailboxes may be listed with \\Noselect",
    ),
    Row(r"RenameSharedMailbox", r"a[78] .*", "RFC 9051 6.3.6: NO where it cannot be renamed; a mailbox stays with its owner"),
    Row(r"SearchAtoms", r"A49 .*", "RFC 9051 6.4.4: the string is in the header of a part, which is in the body"),
    Row(r"SearchOptionSave", r"c SEARCH .*", "RFC 5182 2.1: with SAVE alone there is no untagged response"),
    Row(r"UserFlagsSupport", r"A[59] .*", "RFC 9051 7.3.5: new keywords are told with FLAGS; PERMANENTFLAGS need not follow"),
    Row(
        r"ACL.*",
        r"\w+ LISTRIGHTS .*",
        "RFC 4314 3.4 and 4: which rights are tied is the server's own, and only who has `a` is told",
    ),
    Row(r"ACLIntegrationRightIT", r"a007 .*", "RFC 4314 4: a flag that the user has no right to is not set by APPEND"),
    Row(r"ACLIntegrationWithoutRightI", r"a002 .*", "RFC 9051 6.3.12: NO may come behind the literal too"),
    Row(
        r"ACLIntegrationWithoutRightL",
        r"a003 .*",
        "RFC 9051 6.3.7: a server may, and need not, look whether the mailbox is there",
    ),
    Row(
        r"ACLIntegrationWithoutRightT",
        r"a006 .*",
        "RFC 4314 4: STORE should not fail where one flag may be changed; FLAGS is about all of them",
    ),
    Row(
        r"Metadata",
        r"My new comment across|g2 .*",
        "RFC 5464 5: no space stands before the bracket; RFC 9051 9: and no line break in a quoted string",
    ),
    Row(r"Metadata", r"(?:g[489]|m0[468]) .*", "RFC 5464 5: entries are asked for by name; there is no command for all of them"),
    Row(r"Metadata", r"g10 .*", "RFC 5464 5: options stand in one list"),
    Row(r"Metadata", r"g19 .*", "RFC 5464 4.2.1: MAXSIZE is a number of octets, and 0 is one"),
)
"""Of scripts, and of commands in them."""
AS_WRITTEN = {"CondstoreDisable", "Metadata"}
"""Scripts whose patterns are compared as regular expressions: they have alternatives, and say what is not there."""
WITHOUT_CONDSTORE = {"CondstoreDisable"}
"""For a server that is told not to offer it."""
SELECTED = {
    "Check", "Copy", "Expunge", "FetchNILSaveDate", "FetchRFC822Header", "FetchRFC822Text", "FetchSaveDate", "FetchSingleMessage",
    "FetchText", "MoveNoMSG", "ObjectId", "RenameHierarchy", "RenameInbox", "SearchSaveDate", "Store",
}  # fmt: skip
"""Scripts for a session that has selected a mailbox."""
SET_UP = "SelectedStateSetup"
BEFORE_LOGIN = {"BadTag", "JustTag", "LoginThreeStrikes", "NoCommand"}
NAMED = re.compile(
    r"^(C: \S+ (?:CREATE|DELETE|RENAME|LIST|LSUB|SUBSCRIBE|UNSUBSCRIBE|SELECT|EXAMINE|STATUS|APPEND|COPY|MYRIGHTS|SETACL|GETACL|"
    r"LISTRIGHTS|DELETEACL) |S: \\\* (?:LIST|LSUB|STATUS|MYRIGHTS|ACL|LISTRIGHTS) )(.*)$",
    re.IGNORECASE | re.MULTILINE,
)
"""A line with names of mailboxes in it."""
SPACED = re.compile(r"^(C: \S+ (?:STORE|STATUS|LSUB) )(.*)$", re.MULTILINE)
"""Between arguments is one space (RFC 9051 section 9), where these lines have several, and some at their ends."""
GREETING = re.compile(r"^S: \\\* OK IMAP4rev1 Server ready\n", re.MULTILINE)
URLAUTH = re.compile(r"^S: \\\* OK \\\[URLMECH INTERNAL\\\] Ok\n", re.MULTILINE)


def scripts() -> dict[str, str]:
    members = corpus_members("imap", "james-mpt.tar.xz")
    return {Path(name).stem: octets.decode("latin-1") for name, octets in sorted(members.items())}


class People:
    """The accounts of one script."""

    def __init__(self, name: str) -> None:
        self.user, self.boby = (f"{who}-{name.lower()}@example.test" for who in ("imapuser", "boby"))

    def script(self, text: str) -> list[Step]:
        """With the accounts' names, and mailboxes as we name them."""
        text = NAMED.sub(lambda found: found[1] + self._named(found[2], quoted=found[1][0] == "C"), text)
        text = text.replace("LOGIN imapuser password", f'LOGIN {self.user} "{PASSWORD}"')
        text = SPACED.sub(lambda found: f"{found[1]}{re.sub(r'(?<=[( ]) +| +(?=[)]|$)', '', found[2])}", text)
        steps = steps_of(URLAUTH.sub("", GREETING.sub("", text)))
        for step in steps:
            literal = re.search(r"\{(\d+)\+\}\r\n", step.command)
            if literal and int(literal[1]) == len(step.command) - literal.end() + 1:  # which ends between CR and LF
                step.command = step.command.replace(literal[0], f"{{{int(literal[1]) - 1}+}}\r\n")
        return steps

    def _named(self, text: str, *, quoted: bool) -> str:
        text = text.replace(".", "/") if quoted else re.sub(r"\\?\.(?![*+])", "/", text)
        mark = '"' if quoted else ""
        text = re.sub(
            r'"?#user/boby/([^\s"\\]+)"?' if quoted else r"#user/boby/([^\s\"\\]+)", rf"{mark}Other Users/<boby>/\1{mark}", text
        )
        text = text.replace('"user/" "Boby"', '"Other Users/<boby>/" INBOX').replace("user/imapuser", "INBOX")
        text = text.replace("user/Boby", '"Other Users/<boby>/INBOX"')
        text = re.sub(r"\bboby\b(?!>)", self.boby, text, flags=re.IGNORECASE)
        return re.sub(r"\bimapuser\b", self.user, text).replace("<boby>", self.boby)


@pytest.fixture(scope="module")
def place() -> Iterator[Server]:
    with server(start=False) as made:
        file = load_config(made.config).directory_file
        with closing(Directory(file)) as directory, closing(CredentialStore(file)) as credentials:
            hashed = credentials.find(made.demo)
            assert hashed is not None and hashed.password_hash is not None
            for name, text in scripts().items():
                people = People(name)
                for address in (people.user, people.boby) if "boby" in text.lower() else (people.user,):
                    account = directory.add_account(parse_mailbox(address))
                    credentials.set_password(account, hashed.password_hash, None)
                    directory.set_capabilities_off(account, ["CONDSTORE"] if name in WITHOUT_CONDSTORE else [])
        made.start()
        yield made


def connect(place: Server, address: str = "") -> Voice:
    voice = Voice(place.port("imaps"), place.tls())
    if address:
        voice.ok(f'LOGIN {address} "{PASSWORD}"')
    return voice


@pytest.mark.parametrize("name", scripts())
def test_dialogue(name: str, place: Server) -> None:
    people, text = People(name), scripts()[name]
    steps = people.script(text)
    voices = {}
    for number in sorted({step.session for step in steps}):
        logs_in = name in BEFORE_LOGIN or "LOGIN imapuser" in text
        voices[number] = connect(place, "" if logs_in else people.user)
    if name in SELECTED:
        for step in people.script(scripts()[SET_UP]):
            voices[1].send(step.command)
            voices[1].answer(wanted_by(step))
    share(place, people, text)
    differing: dict[str, list[str]] = {}
    for step in steps:
        voice = voices[step.session]
        voice.send(step.command)
        if name in AS_WRITTEN:
            found = [*unmatched(step, voice.answer_as_written(step))]
        else:
            wanted = wanted_by(step)
            found = [*differences(wanted, voice.answer(wanted))] if wanted else []
        if found:
            differing.setdefault(step.command.split("\r\n")[0], []).extend(map(str, found))
    for voice in voices.values():
        voice.close()
    explain(OURS, name, differing)


def share(place: Server, people: People, text: str) -> None:
    """What boby shares in the script, and what there is to copy to it."""
    if "boby" not in text.lower():
        return
    boby, user = connect(place, people.boby), connect(place, people.user)
    listed = re.findall(r"#user\.boby\.([\w.-]+)", text[: text.index("OK LIST completed")]) if "#user.boby." in text else ()
    for name in sorted({*listed}):
        stated = re.search(rf'MYRIGHTS \\"#user\.boby\.{re.escape(name)}\\" \\"(\w+)\\"', text)
        rights = stated[1] if stated else name.rpartition("-")[2] if "-" in name else "eiklprstwx"
        mailbox = name.replace(".", "/")
        boby.ok(f"CREATE {mailbox}")
        boby.ok(f"SETACL {mailbox} {people.user} {rights}")
        if f"STATUS #user.boby.{name} (MESSAGES)" in text:
            fill(boby, mailbox, ("",) * 10)
    if stated := re.search(r"MYRIGHTS user\.Boby (\w+)$", text, re.MULTILINE):
        boby.ok(f"SETACL INBOX {people.user} {stated[1].translate(dict.fromkeys(map(ord, 'cd')))}")
        if re.search(r"SELECT user\.Boby\n(?:#.*\n|\n)*S: \\\* 4 EXISTS", text):
            fill(boby, "INBOX", ("", "", "\\Flagged", "\\Deleted"))
    if listed or "SELECT user.imapuser" in text:
        fill(user, "INBOX", ("", "", "\\Flagged", "\\Deleted"))
    boby.close()
    user.close()


def fill(voice: Voice, mailbox: str, flags: Sequence[str]) -> None:
    for each in flags:
        voice.ok(f"APPEND {mailbox} ({each}) {{15+}}\r\nSubject: a\r\n\r\nb")
