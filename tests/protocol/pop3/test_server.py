"""The machine: which command when, limits, and that cutting the stream changes nothing."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.model.errors import LocalError
from mailward.protocol.events import CommandCompleted, SaslAsked, SaslResponse, TlsAsked
from mailward.protocol.pop3.events import (
    DeleAsked,
    Event,
    Fault,
    ListAsked,
    PassAsked,
    RetrAsked,
    StatAsked,
    TopAsked,
    UidlAsked,
    UpdateAsked,
)
from mailward.protocol.pop3.server import Pop3Server
from mailward.protocol.pop3.states import MOVES, TAKEN_IN, Limits, State

VERBS = sorted(TAKEN_IN)


def machine(*, is_secure: bool = True, offer_stls: bool = False, limits: Limits | None = None) -> Pop3Server:
    made = Pop3Server("pop.example.test", ("SCRAM-SHA-256", "PLAIN"), limits, is_secure=is_secure, offer_stls=offer_stls)
    assert made.data_to_send() == b"+OK pop.example.test POP3 ready\r\n"
    return made


def logged_in(limits: Limits | None = None) -> Pop3Server:
    made = machine(limits=limits)
    made.receive_data(b"USER a\r\nPASS b\r\n")
    assert made.next_event() == CommandCompleted()
    assert made.next_event() == PassAsked(b"a", b"b")
    made.accept()
    made.data_to_send()
    return made


def answer(pop: Pop3Server, event: Event) -> None:
    """Any answer: the password is "b", a message exists when its number is below 100."""
    match event:
        case PassAsked(_, password):
            pop.accept() if password == b"b" else pop.refuse("no", "AUTH")
        case SaslAsked(_, None):
            pop.challenge(b"say")
        case SaslAsked(_, octets) | SaslResponse(octets):
            pop.accept() if octets == b"b" else pop.refuse("no", "AUTH")
        case TlsAsked():
            pop.tls_started()
        case ListAsked(None) | UidlAsked(None):
            pop.begin_lines("list")
            pop.more(b"1 x\r\n")
            pop.end()
        case RetrAsked(number) | TopAsked(number, _):
            if number < 100:
                pop.begin_message("here")
                pop.more(b"A: b\r\n\r\n.c\r\n")
                pop.end()
            else:
                pop.refuse("no such message")
        case _:
            pop.accept()


def run(pop: Pop3Server, stream: bytes, *, step: int | None = None) -> tuple[list[Event], bytes]:
    events: list[Event] = []
    step = step or max(len(stream), 1)
    for at in range(0, len(stream), step):
        pop.receive_data(stream[at : at + step])
        while (event := pop.next_event()) is not None:
            if not isinstance(event, CommandCompleted):
                events.append(event)
                answer(pop, event)
    return events, pop.data_to_send()


ARGUMENTS = st.one_of(
    st.sampled_from(
        [
            b"",
            b" ",
            b" 1",
            b" 1 2",
            b" 0",
            b" -1",
            b" 99999999999",
            b" b",
            b" PLAIN",
            b" PLAIN Yg==",
            b" PLAIN =",
            b" SCRAM-SHA-256",
        ]
    ),
    st.binary(max_size=20).map(lambda octets: b" " + octets),
)
LINES = st.one_of(
    st.tuples(st.sampled_from([*VERBS, b"stat", b"APOP"]), ARGUMENTS).map(b"".join),
    st.sampled_from([b"*", b"Yg==", b"USER a", b"PASS b"]),
    st.binary(max_size=40),
)


@given(st.lists(LINES, max_size=30), st.booleans(), st.integers(1, 7))
def test_any_octets_lead_to_events_and_replies_only_and_cutting_changes_nothing(
    lines: list[bytes], is_secure: bool, step: int
) -> None:
    stream = b"".join(line + b"\r\n" for line in lines if line.upper().rstrip(b" ") != b"STLS")  # nothing may follow STLS
    whole = run(machine(is_secure=is_secure, offer_stls=not is_secure), stream)
    assert run(machine(is_secure=is_secure, offer_stls=not is_secure), stream, step=step) == whole
    for line in whole[1].split(b"\r\n"):
        assert line[:3] in (b"+OK", b"-ER", b"+ c") or line in (b"", b".") or not line.startswith((b"+", b"-"))


@given(st.binary(max_size=300))
def test_garbage_alone(stream: bytes) -> None:
    assert run(machine(), stream) == run(machine(), stream, step=1)


def test_every_command_in_every_state() -> None:
    for verb in VERBS:
        argument = {b"USER": b" a", b"AUTH": b" PLAIN =", b"TOP": b" 1 1"}.get(verb, b" 1" if verb in (b"RETR", b"DELE") else b"")
        for state, pop in ((State.AUTHORIZATION, machine(offer_stls=True)), (State.TRANSACTION, logged_in())):
            _, octets = run(pop, verb + argument + b"\r\n")
            if state not in TAKEN_IN[verb]:
                assert octets == (b"-ERR Log in first\r\n" if state is State.AUTHORIZATION else b"-ERR Not after login\r\n"), verb
            else:
                assert b"Log in first" not in octets and b"Not after login" not in octets


def test_moves_end_in_closed() -> None:
    assert set(MOVES) == set(State)
    assert all(State.CLOSED in moves for state, moves in MOVES.items() if state is not State.CLOSED)


def test_t_tls_11_in_clear_no_password_is_looked_at() -> None:
    pop = machine(is_secure=False, offer_stls=True)
    stream = b"USER a\r\nPASS b\r\nAUTH PLAIN\r\nAUTH PLAIN AGEAYg==\r\nauth scram-sha-256\r\n"
    assert run(pop, stream) == ([], b"-ERR Start TLS first\r\n" * 5)
    assert pop.state is State.AUTHORIZATION


def test_capabilities_in_clear_under_tls_and_logged_in() -> None:
    common = "+OK Capabilities follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nLANG\r\nUTF8 USER\r\n"
    secure = "USER\r\nSASL SCRAM-SHA-256 PLAIN\r\n"
    for pop, rest in (
        (machine(is_secure=False, offer_stls=True), "STLS\r\n"),
        (machine(is_secure=False), ""),
        (machine(), secure),
        (logged_in(), secure + "IMPLEMENTATION Mailward\r\n"),
    ):
        assert run(pop, b"CAPA\r\n")[1].decode() == common + rest + ".\r\n"


@pytest.mark.parametrize("following", [b"USER x\r\n", b"\x16\x03\x01\x02\x00", b" "])
def test_t_tls_03_octets_behind_stls_end_the_session(following: bytes) -> None:
    pop = machine(is_secure=False, offer_stls=True)
    assert run(pop, b"STLS\r\n" + following) == ([], b"-ERR Nothing may follow STLS\r\n")
    assert pop.is_closed and pop.fault is Fault.TLS_INJECTION
    assert run(pop, b"CAPA\r\n") == ([], b"")


def test_stls_forgets_the_name_and_is_not_offered_again() -> None:
    pop = machine(is_secure=False, offer_stls=True)
    pop._name = b"smuggled"
    assert run(pop, b"STLS\r\n") == ([TlsAsked()], b"+OK Begin TLS now\r\n")
    assert run(pop, b"PASS b\r\n") == ([], b"-ERR First USER, then PASS\r\n")
    assert run(pop, b"STLS\r\n")[1].startswith(b"-ERR TLS is not available")
    assert b"STLS" not in run(pop, b"CAPA\r\n")[1]


@pytest.mark.parametrize("argument", [b"", b" ", b"  "])
def test_auth_without_a_mechanism_lists_them(argument: bytes) -> None:
    assert run(machine(), b"AUTH" + argument + b"\r\n")[1] == b"+OK Mechanisms follow\r\nSCRAM-SHA-256\r\nPLAIN\r\n.\r\n"
    assert run(machine(is_secure=False), b"AUTH" + argument + b"\r\n")[1] == b"+OK Mechanisms follow\r\n.\r\n"


def test_auth_with_and_without_an_initial_response() -> None:
    assert run(machine(), b"auth plain Yg==\r\n") == ([SaslAsked("PLAIN", b"b")], b"+OK\r\n")
    events, octets = run(machine(), b"AUTH PLAIN\r\nYg==\r\n")
    assert events == [SaslAsked("PLAIN", None), SaslResponse(b"b")]
    assert octets == b"+ " + base64.b64encode(b"say") + b"\r\n+OK\r\n"
    assert run(machine(), b"AUTH PLAIN =\r\n")[0] == [SaslAsked("PLAIN", b"")]
    assert run(machine(), b"AUTH PLAIN\r\n\r\n")[0][1] == SaslResponse(b"")


@pytest.mark.parametrize(
    ("stream", "reply"),
    [
        (b"AUTH PLAIN\r\n*\r\n", b"-ERR Authentication cancelled\r\n"),
        (b"AUTH PLAIN\r\nnot base64\r\n", b"-ERR The response is not base64\r\n"),
        (b"AUTH PLAIN\r\nYQ==\r\n", b"-ERR [AUTH] no\r\n"),
        (b"AUTH PLAIN !\r\n", b"-ERR The response is not base64\r\n"),
        (b"AUTH CRAM-MD5\r\n", b"-ERR That mechanism is not available\r\n"),
        (b"AUTH PLAIN a b\r\n", b"-ERR AUTH takes a mechanism and at most one response\r\n"),
        (b"AUTH PLAIN\r\n" + b"a" * 13_000 + b"\r\n", b"-ERR The line is too long\r\n"),
    ],
)
def test_an_exchange_that_fails_leaves_commands_usable(stream: bytes, reply: bytes) -> None:
    pop = machine()
    assert run(pop, stream)[1].removeprefix(b"+ c2F5\r\n") == reply
    assert run(pop, b"USER a\r\nPASS b\r\n")[1].endswith(b"+OK\r\n")
    assert pop.state is State.TRANSACTION


def test_a_response_may_be_long_and_a_command_may_not() -> None:
    response = base64.b64encode(b"x" * 9000)
    assert run(machine(), b"AUTH PLAIN " + response + b"\r\n")[0] == [SaslAsked("PLAIN", b"x" * 9000)]
    assert run(machine(), b"AUTH PLAIN\r\n" + response + b"\r\n")[0][1] == SaslResponse(b"x" * 9000)
    assert run(machine(), b"USER " + b"a" * 248 + b"\r\n")[1].startswith(b"+OK")
    assert run(machine(), b"USER " + b"a" * 249 + b"\r\n")[1] == b"-ERR The command is too long\r\n"


def test_the_password_is_all_behind_the_first_space() -> None:
    events, _ = run(machine(), b"USER a b\r\nPASS  two  words \r\n")
    assert events == [PassAsked(b"a b", b" two  words ")]


def test_pass_needs_user_each_time() -> None:
    assert run(machine(), b"PASS b\r\n")[1] == b"-ERR First USER, then PASS\r\n"
    assert run(machine(), b"USER a\r\nPASS x\r\nPASS b\r\n")[1].endswith(b"-ERR [AUTH] no\r\n-ERR First USER, then PASS\r\n")


def test_secrets_do_not_show() -> None:
    assert "hidden" not in repr([PassAsked(b"a", b"hidden"), SaslAsked("PLAIN", b"hidden"), SaslResponse(b"hidden")])


@pytest.mark.parametrize(
    "command", ["RETR 0", "RETR -1", "RETR 99999999999", "RETR", "RETR 1 2", "RETR +1", "TOP 1 -1", "TOP 1 99999999999", "TOP 1",
                "DELE 0", "DELE", "LIST 0", "LIST x", "UIDL -1", "RETR \u0661", "TOP 0 1", "STAT 1", "RSET x", "NOOP x", "QUIT x"],
)  # fmt: skip
def test_t_pop_01_bad_numbers_and_arguments_are_errors_that_the_session_survives(command: str) -> None:
    pop = logged_in()
    events, octets = run(pop, command.encode() + b"\r\nSTAT\r\n")
    assert events == [StatAsked()]
    assert octets.startswith(b"-ERR ") and octets.count(b"-ERR") == 1


def test_trailing_spaces_and_lower_case_are_taken() -> None:
    events, _ = run(logged_in(), b"retr 1 \r\nTop 1  2\r\ndele 03\r\nlist \r\nuidl  4\r\nquit \r\n")
    assert events == [RetrAsked(1), TopAsked(1, 2), DeleAsked(3), ListAsked(None), UidlAsked(4), UpdateAsked()]


def test_bad_commands_and_failed_logins_are_counted_together() -> None:
    pop = machine()
    _, octets = run(pop, b"FOO\r\n" * 18 + b"USER a\r\nPASS x\r\n" * 2 + b"USER a\r\nPASS b\r\n")
    assert octets.endswith(b"+OK Now the password\r\n-ERR Too many bad commands\r\n")
    assert pop.is_closed and pop.fault is Fault.TOO_MANY_ERRORS


def test_messages_that_are_not_there_do_not_count_as_bad() -> None:
    pop = logged_in()
    _, octets = run(pop, b"RETR 100\r\n" * 100 + b"NOOP\r\n")
    assert octets == b"-ERR no such message\r\n" * 100 + b"+OK\r\n"


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (b"NOOP\nNOOP\r\n", Fault.BARE_LF),
        (b"x" * 70_000, Fault.ENDLESS_LINE),
        (b"GET / HTTP/1.1\r\n" * 20, Fault.TOO_MANY_ERRORS),
    ],
)
def test_what_ends_the_session(stream: bytes, fault: Fault) -> None:
    for step in (None, 1000):
        pop = logged_in()
        assert run(pop, stream, step=step)[0] == []
        assert pop.is_closed and pop.fault is fault


@pytest.mark.parametrize("line", [b"USER a\0b", b"USER a\rPASS b", b"NO\0OP"])
def test_nul_and_cr_in_a_command(line: bytes) -> None:
    assert run(machine(), line + b"\r\n")[1] == b"-ERR A command cannot hold NUL or CR\r\n"


def test_later_commands_wait_while_one_is_answered() -> None:
    pop = logged_in()
    pop.receive_data(b"STAT\r\nLIST 1\r\n")
    assert pop.next_event() == StatAsked()
    assert pop.next_event() is None
    pop.receive_data(b"NOOP\r\n")
    pop.accept("1 120")
    assert pop.next_event() == ListAsked(1)
    pop.refuse("no")
    assert pop.next_event() == CommandCompleted()
    assert pop.next_event() is None
    assert pop.data_to_send() == b"+OK 1 120\r\n-ERR no\r\n+OK\r\n"
    with pytest.raises(LocalError):
        pop.accept()


def test_quit_is_answered_by_whoever_carries_it_out() -> None:
    for refused in (False, True):
        pop = logged_in()
        pop.receive_data(b"QUIT\r\nNOOP\r\n")
        assert pop.next_event() == UpdateAsked()
        assert pop.data_to_send() == b"" and not pop.is_closed
        pop.refuse("no", "SYS/TEMP") if refused else pop.accept("bye")
        assert pop.is_closed and pop.next_event() is None
        assert pop.data_to_send() == (b"-ERR [SYS/TEMP] no\r\n" if refused else b"+OK bye\r\n")


def test_rfc_6856_2_1_utf8_is_said_before_the_login_and_stls_before_it() -> None:
    pop = machine(is_secure=False, offer_stls=True)
    assert run(pop, b"UTF8 x\r\nUTF8\r\n")[1] == b"-ERR The command takes no argument\r\n+OK UTF-8 it is\r\n"
    assert pop.speaks_utf8
    assert run(pop, b"STLS\r\n")[1] == b"-ERR STLS goes before UTF8\r\n"
    assert run(logged_in(), b"UTF8\r\n")[1] == b"-ERR Not after login\r\n"


def test_rfc_6856_3_lang_lists_and_chooses() -> None:
    for pop in (machine(), logged_in()):
        assert run(pop, b"LANG\r\n")[1] == b"+OK Languages follow\r\nen English\r\n.\r\n"
        assert run(pop, b"LANG *\r\nLANG EN\r\n")[1] == b"+OK en English it is\r\n" * 2
        assert run(pop, b"LANG uga\r\n")[1] == b"-ERR That language is not spoken here\r\n"
