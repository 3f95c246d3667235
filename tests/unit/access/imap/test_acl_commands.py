"""Which right each command needs at a shared mailbox, and no less will do (RFC 4314 section 4)."""

import pytest

from support.sharing import BOX, MAIL, Town, flags_of, sessions, work


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        (f"STATUS {BOX} (MESSAGES)", "r"),
        (f"SELECT {BOX}", "r"),
        (f"EXAMINE {BOX}", "r"),
        (f"GETQUOTAROOT {BOX}", "r"),
        (f"DELETE {BOX}", "x"),
        (f"GETACL {BOX}", "a"),
        (f"SETACL {BOX} carol@example.test l", "a"),
        (f"DELETEACL {BOX} carol@example.test", "a"),
        (f"LISTRIGHTS {BOX} carol@example.test", "a"),
        (f'CREATE {BOX[:-1]}/New"', "k"),
        (f'RENAME "Other Users/alice@example.test/Old" {BOX[:-1]}/Other"', "k"),
    ],
)
async def test_t_imap_14_each_command_needs_its_right_and_nothing_less_will_do(town: Town, command: str, needed: str) -> None:
    every = frozenset("lrswipkxtea")
    async with sessions(town, "bob") as (bob,):
        work(town, "".join(every - {needed}))
        work(town, "lx", mailbox="Old")
        work(town, "l", to="carol")
        assert (await bob.command(command))[-1].startswith(b"NO [NOPERM]")
        work(town, needed)
        assert (await bob.command(command))[-1].startswith(b"OK")


async def test_messages_are_put_where_the_right_is(town: Town) -> None:
    async with sessions(town, "bob") as (bob,):
        work(town, "lrswpkxtea")
        await bob.append("INBOX", MAIL)
        await bob.ok("SELECT INBOX")
        assert (await bob.append(BOX, MAIL)).startswith(b"NO [NOPERM]")
        for command in (f"COPY 1 {BOX}", f"MOVE 1 {BOX}"):
            assert (await bob.command(command))[-1].startswith(b"NO [NOPERM]")
        work(town, "i")
        assert (await bob.append(BOX, MAIL)).startswith(b"OK [APPENDUID")
        assert b"COPYUID" in (await bob.command(f"COPY 1 {BOX}"))[-1]
        assert len(flags_of(town, "alice", "Work")) == 4


@pytest.mark.parametrize(
    ("rights", "flags"),
    [("i", ""), ("is", "\\Seen"), ("it", "\\Deleted"), ("iw", "\\Flagged $Note"), ("ist", "\\Seen \\Deleted")],
)
async def test_flags_are_kept_by_append_and_copy_as_far_as_the_rights_go(town: Town, rights: str, flags: str) -> None:
    every = "(\\Seen \\Deleted \\Flagged $Note)"
    async with sessions(town, "bob") as (bob,):
        work(town, rights)
        await bob.append("INBOX", MAIL, f"{every} ")
        await bob.append(BOX, MAIL, f"{every} ")
        await bob.ok("SELECT INBOX")
        await bob.ok(f"COPY 1 {BOX}")
        assert flags_of(town, "alice", "Work")[2:] == [frozenset(flags.split())] * 2


@pytest.mark.parametrize(
    ("rights", "command", "after"),
    [
        ("rs", "STORE 2 +FLAGS (\\Seen \\Flagged)", "\\Seen"),
        ("rw", "STORE 2 +FLAGS (\\Seen $Note)", "$Note"),
        ("rw", "STORE 1 FLAGS (\\Answered)", "\\Seen \\Deleted \\Answered"),
        ("rs", "STORE 1 FLAGS (\\Answered)", "\\Deleted \\Flagged"),
        ("rt", "UID STORE 1 FLAGS.SILENT ()", "\\Seen \\Flagged"),
        ("rt", "STORE 1 -FLAGS (\\Seen \\Deleted)", "\\Seen \\Flagged"),
    ],
)
async def test_flags_are_stored_as_far_as_the_rights_go(town: Town, rights: str, command: str, after: str) -> None:
    async with sessions(town, "bob") as (bob,):
        work(town, rights)
        await bob.ok(f"SELECT {BOX}")
        await bob.ok(command)
        assert flags_of(town, "alice", "Work")[0 if " 1 " in command else 1] == frozenset(after.split())


@pytest.mark.parametrize(
    ("rights", "command"), [("rs", "STORE 1 +FLAGS (\\Flagged)"), ("re", "STORE 1 FLAGS ()"), ("rw", "STORE 2 -FLAGS (\\Seen)")]
)
async def test_flags_none_of_which_may_be_stored_are_refused(town: Town, rights: str, command: str) -> None:
    async with sessions(town, "bob") as (bob,):
        work(town, rights + "l")
        await bob.ok(f"SELECT {BOX}")
        assert (await bob.command(command))[-1].startswith(b"NO [NOPERM]")


async def test_reading_marks_as_seen_with_that_right_alone(town: Town) -> None:
    async with sessions(town, "bob") as (bob,):
        for rights, expected in (("rw", frozenset()), ("rs", frozenset({"\\Seen"}))):
            work(town, rights)
            await bob.ok(f"SELECT {BOX}")
            await bob.ok("FETCH 2 BODY[]")
            assert flags_of(town, "alice", "Work")[1] == expected


async def test_messages_are_expunged_with_that_right_alone(town: Town) -> None:
    async with sessions(town, "bob") as (bob,):
        work(town, "lrswit")
        await bob.ok(f"SELECT {BOX}")
        for command in ("EXPUNGE", "UID EXPUNGE 1", "MOVE 1 INBOX"):
            assert (await bob.command(command))[-1].startswith(b"NO [NOPERM]")
        await bob.ok("CLOSE")
        assert len(flags_of(town, "alice", "Work")) == 2
        work(town, "lrte")
        await bob.ok(f"SELECT {BOX}")
        assert b"* 1 EXPUNGE" in await bob.ok("EXPUNGE")


@pytest.mark.parametrize(
    ("rights", "code", "permanent"),
    [
        ("rlka", b"READ-ONLY", b""),
        ("rs", b"READ-WRITE", b"\\Seen"),
        ("ri", b"READ-WRITE", b""),
        ("rw", b"READ-WRITE", b"\\Answered \\Flagged \\Draft \\*"),
    ],
)
async def test_a_mailbox_says_what_may_be_written(town: Town, rights: str, code: bytes, permanent: bytes) -> None:
    async with sessions(town, "bob") as (bob,):
        work(town, rights)
        *untagged, tagged = await bob.command(f"SELECT {BOX}")
        assert tagged.startswith(b"OK [" + code)
        assert b"* OK [PERMANENTFLAGS (" + permanent + b")] Flags that are kept" in untagged
