"""The machine: what is read as what, which command when, limits, and that cutting the stream changes nothing."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.model.errors import LocalError
from mailward.protocol.events import CommandCompleted, SaslAsked, SaslResponse, TlsAsked
from mailward.protocol.managesieve.events import (
    ActivateAsked,
    CheckAsked,
    DeleteAsked,
    Event,
    GetAsked,
    ListAsked,
    PutAsked,
    RenameAsked,
    SpaceAsked,
)
from mailward.protocol.managesieve.reading import Fault, Reader, ReadingLimits, string
from mailward.protocol.managesieve.server import ManageSieveServer
from mailward.protocol.managesieve.states import MOVES, Limits, Offers, State

OFFERS = Offers(("SCRAM-SHA-256", "PLAIN"), ("fileinto", "vacation"), ("mailto",), ("tag", "urn"), 4)
LIMITS = Limits(script_octets=1000, passed_over_octets=5000)
COMMANDS = {
    b"HAVESPACE": b' "a" 12', b"PUTSCRIPT": b' "a" "keep;"', b"CHECKSCRIPT": b' "keep;"', b"LISTSCRIPTS": b"", b"SETACTIVE": b' "a"',
    b"GETSCRIPT": b' "a"', b"DELETESCRIPT": b' "a"', b"RENAMESCRIPT": b' "a" "b"',
}  # fmt: skip


def machine(*, is_secure: bool = True, offer_tls: bool = False) -> ManageSieveServer:
    made = ManageSieveServer(OFFERS, LIMITS, is_secure=is_secure, offer_tls=offer_tls)
    assert made.data_to_send().endswith(b'OK "ManageSieve ready"\r\n')
    return made


def logged_in() -> ManageSieveServer:
    made = machine()
    made.receive_data(b'AUTHENTICATE "PLAIN" "Yg=="\r\n')
    assert made.next_event() == SaslAsked("PLAIN", b"b")
    made.logged_in("alice@example.test")
    made.data_to_send()
    return made


def answer(sieve: ManageSieveServer, event: Event) -> None:
    """Any answer: the response "b" is a good login, and there is a script "a"."""
    match event:
        case SaslAsked(_, None):
            sieve.challenge(b"say")
        case SaslAsked(_, octets) | SaslResponse(octets):
            sieve.logged_in("alice@example.test") if octets == b"b" else sieve.refuse("no")
        case TlsAsked():
            sieve.tls_started()
        case ListAsked():
            sieve.scripts([("a", True), ('q"\\', False)])
        case GetAsked("a"):
            sieve.script(b"keep;\r\n")
        case GetAsked() | DeleteAsked():
            sieve.refuse("There is none", "NONEXISTENT")
        case _:
            sieve.accept("done")


def run(sieve: ManageSieveServer, stream: bytes, *, step: int | None = None) -> tuple[list[Event], bytes]:
    events: list[Event] = []
    step = step or max(len(stream), 1)
    for at in range(0, len(stream), step):
        sieve.receive_data(stream[at : at + step])
        while (event := sieve.next_event()) is not None:
            if not isinstance(event, CommandCompleted):
                events.append(event)
                answer(sieve, event)
    return events, sieve.data_to_send()


PIECES = [
    b"", b" ", b'"a"', b'"', b"{3+}\r\nabc", b"{0+}\r\n", b"{2000+}\r\n" + b"x" * 2000, b"{3}\r\n", b"{9999+}\r\n", b"12", b'"PLAIN"',
    b'"Yg=="', b'"*"', b"\0", b"a\\b", b'"\\"\\\\"', b'"\xff"', b"{", b"{+}",
]  # fmt: skip
LINES = st.tuples(
    st.sampled_from([*COMMANDS, b"AUTHENTICATE", b"CAPABILITY", b"NOOP", b"logout", b"UNAUTHENTICATE", b'"Yg=="', b""]),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=12)), max_size=3),
).map(lambda parts: b" ".join([parts[0], *parts[1]]))


@given(st.lists(LINES, max_size=20), st.booleans(), st.booleans(), st.integers(1, 7))
def test_t_imap_20_any_octets_lead_to_events_and_responses_only_and_cutting_changes_nothing(
    lines: list[bytes], is_secure: bool, begins_logged_in: bool, step: int
) -> None:
    def made() -> ManageSieveServer:
        return logged_in() if begins_logged_in else machine(is_secure=is_secure)

    stream = b"".join(line + b"\r\n" for line in lines)
    assert run(made(), stream, step=step) == run(made(), stream)


@given(st.binary(max_size=1500))
def test_a_string_that_is_written_is_read_as_it_was(octets: bytes) -> None:
    reader = Reader(ReadingLimits())
    reader.feed(string(octets).replace(b"}\r\n", b"+}\r\n", 1) if string(octets).startswith(b"{") else string(octets))
    reader.feed(b"\r\n")
    read = reader.next()
    assert not isinstance(read, Fault) and read is not None
    assert read.tokens == (octets,)  # type: ignore[union-attr]


def test_capabilities_in_clear_under_tls_and_logged_in() -> None:
    for sieve, sasl, more in (
        (machine(is_secure=False, offer_tls=True), b'""', b'"STARTTLS"\r\n'),
        (machine(is_secure=False), b'""', b""),
        (machine(), b'"SCRAM-SHA-256 PLAIN"', b""),
        (logged_in(), b'"SCRAM-SHA-256 PLAIN"', b'"OWNER" "alice@example.test"\r\n'),
    ):
        assert run(sieve, b"capability\r\n")[1] == (
            b'"IMPLEMENTATION" "Mailward"\r\n"SASL" ' + sasl + b'\r\n"SIEVE" "fileinto vacation"\r\n"NOTIFY" "mailto"\r\n'
            b'"EXTLISTS" "tag urn"\r\n"MAXREDIRECTS" "4"\r\n' + more + b'"VERSION" "1.0"\r\nOK "Those are all"\r\n'
        )


def test_every_command_in_every_state() -> None:
    for verb, arguments in COMMANDS.items():
        assert run(machine(), verb + arguments + b"\r\n") == ([], b'NO "Log in first"\r\n')
        assert len(run(logged_in(), verb + arguments + b"\r\n")[0]) == 1
    for verb in (b'AUTHENTICATE "PLAIN"', b"STARTTLS"):
        assert run(logged_in(), verb + b"\r\n") == ([], b'NO "Not after login"\r\n')
    assert run(logged_in(), b"UNAUTHENTICATE\r\n") == ([], b'NO "There is no such command"\r\n')


def test_every_command_with_too_few_and_too_many_arguments() -> None:
    for verb, arguments in COMMANDS.items():
        if arguments:
            assert run(logged_in(), verb + b"\r\n")[0] == []
        events, octets = run(logged_in(), verb + arguments + b' "more"\r\n')
        assert events == [] and octets.startswith(b'NO "The command takes')


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (b'havespace "a" 12', SpaceAsked("a", 12)),
        (b'PUTSCRIPT "a" {5+}\r\nkeep;', PutAsked("a", b"keep;")),
        (b"PUTSCRIPT {1+}\r\na {5+}\r\nkeep;", PutAsked("a", b"keep;")),
        (b"PUTSCRIPT  {1+}\r\na  {0+}\r\n ", PutAsked("a", b"")),
        (b'CHECKSCRIPT "if true { keep; }"', CheckAsked(b"if true { keep; }")),
        (b"LISTSCRIPTS", ListAsked()),
        (b'SETACTIVE ""', ActivateAsked("")),
        (b'SETACTIVE "\xc3\xa9"', ActivateAsked("\xe9")),
        (b'GETSCRIPT "a\\"b\\\\c"', GetAsked('a"b\\c')),
        (b'DELETESCRIPT "a"', DeleteAsked("a")),
        (b'RENAMESCRIPT "a" "b"', RenameAsked("a", "b")),
    ],
)
def test_commands(command: bytes, event: Event) -> None:
    for step in (None, 1):
        assert run(logged_in(), command + b"\r\n", step=step)[0] == [event]


@pytest.mark.parametrize(
    "command",
    [
        b'GETSCRIPT ""', b"GETSCRIPT a", b"GETSCRIPT 12", b'GETSCRIPT "\xff"', b'GETSCRIPT "\x01"', b'GETSCRIPT "\xe2\x80\xa8"', b'SETACTIVE a',
        b'GETSCRIPT "' + b"x" * 513 + b'"', b'HAVESPACE "a" "b"', b'HAVESPACE "a" -1', b'GETSCRIPT "a\\n"', b'GETSCRIPT "a"b', b'"a"', b"",
        b'PUTSCRIPT "a" {5}', b'PUTSCRIPT "a" {x+}', b'PUTSCRIPT "unterminated {7+}', b"CHECKSCRIPT {2+}\r\nabX", b'NOOP "\0"',
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_answered_no_and_the_session_goes_on(command: bytes) -> None:
    events, octets = run(logged_in(), command + b"\r\nLISTSCRIPTS\r\n")
    assert events == [ListAsked()]
    assert octets.startswith(b"NO ") and octets.count(b"NO ") == 1


@pytest.mark.parametrize("refused", [b"NO SUCH", b"PUTSCRIPT a", b"CHECKSCRIPT \0", b'PUTSCRIPT "a"', b"} "])
def test_t_imap_02_a_literal_of_a_refused_command_is_never_taken_for_commands(refused: bytes) -> None:
    events, _ = run(logged_in(), refused + b' {22+}\r\nDELETESCRIPT "a"\r\nabcd\r\nLISTSCRIPTS\r\n')
    assert DeleteAsked("a") not in events and events[-1] == ListAsked()


def test_t_imap_20_a_huge_script_is_refused_and_an_endless_one_ends_the_session() -> None:
    big = b'PUTSCRIPT "a" {2000+}\r\n' + b"x" * 2000 + b"\r\n"
    events, octets = run(logged_in(), big + b"LISTSCRIPTS\r\n", step=64)
    assert events == [ListAsked()] and octets.startswith(b'NO (QUOTA/MAXSIZE) "The string is too long"\r\n')
    sieve = logged_in()
    assert run(sieve, b'PUTSCRIPT "a" {99999999999999999999+}\r\nLOGOUT\r\n') == ([], b'BYE "The string is too long"\r\n')
    assert sieve.is_closed and sieve.fault is Fault.ENDLESS_LITERAL


def test_literals_of_a_command_are_counted_together() -> None:
    stream = b"CHECKSCRIPT" + b" {900+}\r\n" + b"x" * 900 + b" {900+}\r\n" + b"x" * 900 + b"\r\n"
    assert run(logged_in(), stream) == ([], b'NO (QUOTA/MAXSIZE) "The string is too long"\r\n')


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (b"NOOP\nNOOP\r\n", Fault.BARE_LF),
        (b"NO\rOP\r\n", Fault.BARE_LF),
        (b"x" * 9000, Fault.ENDLESS_LINE),
        (b"GET / HTTP/1.1\r\n" * 20, Fault.TOO_MANY_ERRORS),
        (b"NOOP {8193+}\r\n", Fault.ENDLESS_LITERAL),
        (b"NOOP " + b"{0+}\r\n " * 2000, Fault.ENDLESS_LINE),
    ],
)
def test_what_ends_the_session(stream: bytes, fault: Fault) -> None:
    for step in (None, 1000):
        sieve = machine()
        assert run(sieve, stream, step=step)[0] == []
        assert sieve.is_closed and sieve.fault is fault


# --- logging in ---


def test_t_tls_11_in_clear_no_password_is_looked_at() -> None:
    sieve = machine(is_secure=False, offer_tls=True)
    stream = b'AUTHENTICATE "PLAIN" "AGEAYg=="\r\nAUTHENTICATE "scram-sha-256"\r\n'
    assert run(sieve, stream) == ([], b'NO (ENCRYPT-NEEDED) "Start TLS first"\r\n' * 2)
    assert sieve.state is State.BEFORE_LOGIN


@pytest.mark.parametrize("following", [b"NOOP\r\n", b"\x16\x03\x01\x02\x00", b" "])
def test_t_tls_04_octets_behind_starttls_end_the_session(following: bytes) -> None:
    sieve = machine(is_secure=False, offer_tls=True)
    assert run(sieve, b"STARTTLS\r\n" + following) == ([], b'BYE "Nothing may follow STARTTLS"\r\n')
    assert sieve.is_closed and sieve.fault is Fault.TLS_INJECTION


def test_starttls_tells_the_capabilities_anew_and_is_not_offered_again() -> None:
    sieve = machine(is_secure=False, offer_tls=True)
    events, octets = run(sieve, b"STARTTLS\r\n")
    assert events == [TlsAsked()] and octets.startswith(b'OK "Begin TLS now"\r\n"IMPLEMENTATION"')
    assert b'"SASL" "SCRAM-SHA-256 PLAIN"\r\n' in octets and b"STARTTLS" not in octets
    assert run(sieve, b"STARTTLS\r\n")[1] == b'NO "TLS is not available or active already"\r\n'


def test_authenticate_with_and_without_an_initial_response() -> None:
    assert run(machine(), b'authenticate "plain" "Yg=="\r\n') == ([SaslAsked("PLAIN", b"b")], b'OK "Logged in"\r\n')
    assert run(machine(), b'AUTHENTICATE "PLAIN" {4+}\r\nYg==\r\n')[0] == [SaslAsked("PLAIN", b"b")]
    assert run(machine(), b'AUTHENTICATE "PLAIN" "="\r\n')[0] == [SaslAsked("PLAIN", b"")]
    events, octets = run(machine(), b'AUTHENTICATE "PLAIN"\r\n{4+}\r\nYg==\r\n')
    assert events == [SaslAsked("PLAIN", None), SaslResponse(b"b")]
    assert octets == b'"' + base64.b64encode(b"say") + b'"\r\nOK "Logged in"\r\n'
    assert run(machine(), b'AUTHENTICATE "PLAIN"\r\n""\r\n')[0][1] == SaslResponse(b"")


@pytest.mark.parametrize(
    ("stream", "reply"),
    [
        (b'AUTHENTICATE "PLAIN"\r\n"*"\r\n', b'NO "Authentication cancelled"\r\n'),
        (b'AUTHENTICATE "PLAIN"\r\n"not base64"\r\n', b'NO "The response is not base64"\r\n'),
        (b'AUTHENTICATE "PLAIN"\r\n\r\n', b'NO "The response is not base64"\r\n'),
        (b'AUTHENTICATE "PLAIN"\r\nGETSCRIPT "a"\r\n', b'NO "The response is not base64"\r\n'),
        (b'AUTHENTICATE "PLAIN"\r\n"Yg==" "Yg=="\r\n', b'NO "The response is not base64"\r\n'),
        (b'AUTHENTICATE "PLAIN"\r\n"YQ=="\r\n', b'NO "no"\r\n'),
        (b'AUTHENTICATE "PLAIN" "!"\r\n', b'NO "The response is not base64"\r\n'),
        (b'AUTHENTICATE "CRAM-MD5"\r\n', b'NO "That mechanism is not available"\r\n'),
        (b"AUTHENTICATE PLAIN\r\n", b'NO "A string was expected: a word in quotes, or a literal"\r\n'),
    ],
)
def test_an_exchange_that_fails_leaves_commands_usable(stream: bytes, reply: bytes) -> None:
    sieve = machine()
    assert run(sieve, stream)[1].removeprefix(b'"c2F5"\r\n') == reply
    assert run(sieve, b'AUTHENTICATE "PLAIN" "Yg=="\r\nLISTSCRIPTS\r\n')[0][-1] == ListAsked()


def test_t_imap_20_an_exchange_that_is_not_finished_runs_no_command() -> None:
    for step in (None, 1):
        sieve = machine()
        events, octets = run(sieve, b'AUTHENTICATE "PLAIN"\r\nLISTSCRIPTS\r\nGETSCRIPT "a"\r\n', step=step)
        assert events == [SaslAsked("PLAIN", None)]
        assert octets == b'"c2F5"\r\nNO "The response is not base64"\r\nNO "Log in first"\r\n'


def test_bad_commands_and_failed_logins_are_counted_together() -> None:
    sieve = machine()
    _, octets = run(sieve, b"FOO\r\n" * 18 + b'AUTHENTICATE "PLAIN" "YQ=="\r\n' * 2 + b'AUTHENTICATE "PLAIN" "Yg=="\r\n')
    assert octets.endswith(b'NO "no"\r\nBYE "Too many bad commands"\r\n')
    assert sieve.is_closed


def test_scripts_that_are_not_there_do_not_count_as_bad() -> None:
    assert run(logged_in(), b'GETSCRIPT "x"\r\n' * 50)[1] == b'NO (NONEXISTENT) "There is none"\r\n' * 50


# --- answers ---


def test_noop_with_a_tag() -> None:
    assert run(machine(), b'NOOP\r\nNOOP "a"\r\nNOOP {3+}\r\na\r\n\r\n')[1] == (
        b'OK "Done"\r\nOK (TAG "a") "Done"\r\nOK (TAG {3}\r\na\r\n) "Done"\r\n'
    )


def test_listings_and_scripts() -> None:
    assert run(logged_in(), b'LISTSCRIPTS\r\nGETSCRIPT "a"\r\n')[1] == (
        b'"a" ACTIVE\r\n"q\\"\\\\"\r\nOK "Those are all"\r\n{7}\r\nkeep;\r\n\r\nOK "That is all of it"\r\n'
    )


def test_nothing_is_answered_behind_logout() -> None:
    sieve = logged_in()
    assert run(sieve, b"LOGOUT\r\nLISTSCRIPTS\r\n") == ([], b'OK "Until next time"\r\n')
    assert sieve.is_closed and sieve.fault is None


def test_later_commands_wait_while_one_is_answered() -> None:
    sieve = logged_in()
    sieve.receive_data(b'LISTSCRIPTS\r\nGETSCRIPT "a"\r\n')
    assert sieve.next_event() == ListAsked()
    assert sieve.next_event() is None
    sieve.scripts([])
    assert sieve.next_event() == GetAsked("a")
    sieve.refuse("no")
    with pytest.raises(LocalError):
        sieve.accept("twice")


def test_secrets_and_scripts_do_not_show() -> None:
    assert "hidden" not in repr(
        [SaslAsked("PLAIN", b"hidden"), SaslResponse(b"hidden"), PutAsked("a", b"hidden"), CheckAsked(b"hidden")]
    )


def test_moves_end_in_closed() -> None:
    assert set(MOVES) == set(State)
    assert all(State.CLOSED in moves for state, moves in MOVES.items() if state is not State.CLOSED)
