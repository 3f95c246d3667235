"""The client machine against scripted servers: the RFCs' dialogues, everything a hostile MX may say, and any octets at all.

A script is a list of pairs: what the machine must have written since the last step, and what the server says then. Each runs
whole and octet by octet.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.formats.address import parse_mailbox
from mailward.model.address import NULL_REVERSE_PATH, Address, ForwardPath, ReversePath
from mailward.model.envelope import DeliverBy, RcptParameters
from mailward.model.errors import LocalError
from mailward.protocol.framing import ContentReader
from mailward.protocol.smtp.client import SmtpClient
from mailward.protocol.smtp.client_states import (
    Broken,
    ClientLimits,
    Closed,
    Event,
    Fault,
    Ready,
    State,
    Step,
    TlsReady,
    TlsRefused,
    TransactionEnded,
)
from mailward.protocol.smtp.outgoing import Extensions, Outcome, OutgoingMail, Result
from mailward.protocol.smtp.wire import last_chunk, mail_data, sound

OPENING = [(b"", b"220 mx.example.net ESMTP\r\n")]
EHLO = b"EHLO mail.example.org\r\n"
PLAIN = [*OPENING, (EHLO, b"250 mx.example.net\r\n")]
PIPELINING = [*OPENING, (EHLO, b"250-mx.example.net\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1000\r\n")]
CONTENT = b"Subject: x\r\n\r\n.hidden\r\n"
STUFFED = b"Subject: x\r\n\r\n..hidden\r\n.\r\n"

Script = Sequence[tuple[bytes, bytes]]


def mail(*to: str, octets: bytes = CONTENT, sender: str = "a@example.org", smtputf8: bool = False) -> OutgoingMail:
    paths = tuple(ForwardPath(parse_mailbox(path)) for path in to or ("b@example.net",))
    return OutgoingMail(ReversePath(parse_mailbox(sender)) if sender else NULL_REVERSE_PATH, paths, octets, smtputf8)


class Driver:
    """Plays a script against the machine and keeps its events."""

    def __init__(self, *, octet_by_octet: bool = False, limits: ClientLimits | None = None) -> None:
        self.machine = SmtpClient("mail.example.org", limits)
        self.events: list[Event] = []
        self._octet_by_octet = octet_by_octet

    def written(self) -> bytes:
        return b"".join(iter(self.machine.data_to_send, b""))

    def hear(self, octets: bytes) -> None:
        pieces = [octets[n : n + 1] for n in range(len(octets))] if self._octet_by_octet else [octets]
        for piece in pieces:
            self.events += self.machine.receive_data(piece)

    def play(self, script: Script) -> None:
        for expected, said in script:
            assert self.written() == expected
            self.hear(said)

    def send(self, message: OutgoingMail) -> None:
        self.events += self.machine.send(message)

    def outcomes(self) -> list[tuple[str, str]]:
        """Result and reply of each recipient of the last transaction."""
        ended = [event for event in self.events if isinstance(event, TransactionEnded)][-1]
        return [(outcome.result.value, str(outcome.reply)) for outcome in ended.outcomes]

    def broken(self) -> Broken:
        (found,) = [event for event in self.events if isinstance(event, Broken)]
        assert self.machine.state is State.ENDED
        return found


@pytest.fixture(params=[False, True], ids=["whole", "octets"])
def driver(request: pytest.FixtureRequest) -> Driver:
    return Driver(octet_by_octet=request.param)


def test_without_extensions_each_command_waits_for_its_reply(driver: Driver) -> None:
    driver.play(PLAIN)
    assert driver.events == [Ready(Extensions())]
    driver.send(mail("b@example.net", "c@example.net"))
    driver.play(
        [
            (b"MAIL FROM:<a@example.org>\r\n", b"250 ok\r\n"),
            (b"RCPT TO:<b@example.net>\r\n", b"250 ok\r\n"),
            (b"RCPT TO:<c@example.net>\r\n", b"550 5.1.1 no such user\r\n"),
            (b"DATA\r\n", b"354 go on\r\n"),
            (STUFFED, b"250 2.0.0 kept as 17\r\n"),
        ]
    )
    assert driver.outcomes() == [("accepted", "250 2.0.0 kept as 17"), ("permanent", "550 5.1.1 no such user")]
    driver.machine.quit()
    driver.play([(b"QUIT\r\n", b"221 bye\r\n")])
    assert driver.events[-1] == Closed()


GROUP = b"MAIL FROM:<a@example.org> SIZE=23\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\nDATA\r\n"


def test_with_pipelining_the_envelope_is_one_group_and_a_second_message_follows(driver: Driver) -> None:
    driver.play(PIPELINING)
    for _ in range(2):
        driver.send(mail("b@example.net", "c@example.net"))
        driver.play([(GROUP, b"250 ok\r\n250 ok\r\n451 4.2.2 full\r\n354 go\r\n"), (STUFFED, b"250 ok\r\n")])
        assert driver.outcomes() == [("accepted", "250 ok"), ("temporary", "451 4.2.2 full")]
        assert driver.machine.state is State.READY


CHUNKING = [*OPENING, (EHLO, b"250-mx.example.net\r\n250-PIPELINING\r\n250 CHUNKING\r\n")]
ENVELOPE = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\n"
CHUNK = b"BDAT 23 LAST\r\n" + CONTENT


def test_with_chunking_the_message_goes_as_it_is_in_one_chunk_once_somebody_takes_it(driver: Driver) -> None:
    """RFC 3030 section 2; no dot is doubled."""
    driver.play(CHUNKING)
    for _ in range(2):
        driver.send(mail("b@example.net", "c@example.net"))
        driver.play([(ENVELOPE, b"250 ok\r\n250 ok\r\n451 4.2.2 full\r\n"), (CHUNK, b"250 ok\r\n")])
        assert driver.outcomes() == [("accepted", "250 ok"), ("temporary", "451 4.2.2 full")]


def test_with_chunking_and_no_recipient_nothing_is_sent(driver: Driver) -> None:
    driver.play(CHUNKING)
    driver.send(mail("b@example.net", "c@example.net"))
    driver.play([(ENVELOPE, b"250 ok\r\n550 5.1.1 no\r\n550 5.1.1 no\r\n"), (b"", b"")])
    assert driver.outcomes() == [("permanent", "550 5.1.1 no")] * 2 and driver.machine.state is State.READY
    driver.send(mail())
    assert driver.written().startswith(b"RSET\r\nMAIL")


def test_with_chunking_and_without_pipelining_each_command_waits(driver: Driver) -> None:
    driver.play([*OPENING, (EHLO, b"250-mx.example.net\r\n250 CHUNKING\r\n")])
    driver.send(mail(octets=b"no line end"))
    driver.play([(b"MAIL FROM:<a@example.org>\r\n", b"250 ok\r\n"), (b"RCPT TO:<b@example.net>\r\n", b"250 ok\r\n")])
    driver.play([(b"BDAT 13 LAST\r\nno line end\r\n", b"250 ok\r\n")])
    assert driver.outcomes() == [("accepted", "250 ok")]


@pytest.mark.parametrize(("said", "result"), [(b"552 5.3.4 too big", "permanent"), (b"452 4.3.1 disk", "temporary")])
def test_a_refused_chunk_counts_for_those_that_were_taken_and_is_reset(driver: Driver, said: bytes, result: str) -> None:
    driver.play(CHUNKING)
    driver.send(mail("b@example.net", "c@example.net"))
    driver.play([(ENVELOPE, b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n"), (CHUNK, said + b"\r\n")])
    assert [kind for kind, _ in driver.outcomes()] == [result, "permanent"]
    driver.send(mail())
    assert driver.written().startswith(b"RSET\r\nMAIL")


def test_t_net_07_a_reply_within_a_chunk_accepts_nothing() -> None:
    driver = Driver(limits=ClientLimits(piece_octets=20))
    driver.play(CHUNKING)
    driver.send(mail("b@example.net", "c@example.net"))
    driver.play([(ENVELOPE, b"250 ok\r\n250 ok\r\n250 ok\r\n")])
    assert driver.machine.data_to_send() == CHUNK[:20] and not driver.machine.is_message_sent
    driver.hear(b"250 ok\r\n")
    assert driver.broken().fault is Fault.EARLY and driver.written() == b""
    assert [kind for kind, _ in driver.outcomes()] == ["temporary", "temporary"]


def test_a_354_after_no_recipient_was_taken_gets_a_single_dot(driver: Driver) -> None:
    """RFC 2920 section 3.1."""
    driver.play(PIPELINING)
    driver.send(mail("b@example.net", "c@example.net"))
    driver.play([(GROUP, b"250 ok\r\n550 no\r\n450 later\r\n354 go\r\n"), (b".\r\n", b"250 thanks for nothing\r\n")])
    assert driver.outcomes() == [("permanent", "550 no"), ("temporary", "450 later")]
    driver.send(mail())
    assert driver.written().startswith(b"MAIL FROM")


def test_a_refused_transaction_is_reset_before_the_next(driver: Driver) -> None:
    driver.play(PIPELINING)
    driver.send(mail("b@example.net", "c@example.net"))
    driver.play([(GROUP, b"250 ok\r\n550 no\r\n550 neither\r\n554 no valid recipients\r\n")])
    assert driver.outcomes() == [("permanent", "550 no"), ("permanent", "550 neither")]
    driver.send(mail("b@example.net", "c@example.net"))
    driver.play([(b"RSET\r\n" + GROUP, b"250 reset\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"), (STUFFED, b"250 ok\r\n")])
    assert [result for result, _ in driver.outcomes()] == ["accepted", "accepted"]


def test_a_refused_mail_counts_for_every_recipient(driver: Driver) -> None:
    driver.play(PIPELINING)
    driver.send(mail("b@example.net", "c@example.net"))
    driver.play([(GROUP, b"550 5.7.1 not you\r\n503 ?\r\n503 ?\r\n503 ?\r\n")])
    assert driver.outcomes() == [("permanent", "550 5.7.1 not you")] * 2


def test_refused_mail_data_counts_for_those_that_were_taken(driver: Driver) -> None:
    driver.play(PIPELINING)
    driver.send(mail("b@example.net", "c@example.net"))
    driver.play([(GROUP, b"250 ok\r\n250 ok\r\n550 no\r\n451 not now\r\n")])
    assert driver.outcomes() == [("temporary", "451 not now"), ("permanent", "550 no")]


def test_552_to_rcpt_means_too_many_recipients(driver: Driver) -> None:
    """RFC 5321 section 4.5.3.1.10."""
    driver.play(PLAIN)
    driver.send(mail())
    driver.play([(b"MAIL FROM:<a@example.org>\r\n", b"250 ok\r\n"), (b"RCPT TO:<b@example.net>\r\n", b"552 too many\r\n")])
    assert driver.outcomes() == [("temporary", "552 too many")]


def test_ehlo_refused_is_followed_by_helo(driver: Driver) -> None:
    driver.play([*OPENING, (EHLO, b"502 what?\r\n"), (b"HELO mail.example.org\r\n", b"250 hello\r\n")])
    assert driver.events == [Ready(Extensions())]


@pytest.mark.parametrize(
    "script",
    [
        [(b"", b"554 no service\r\n")],
        [(b"", b"450 busy\r\n")],
        [*OPENING, (EHLO, b"450 not now\r\n")],
        [*OPENING, (EHLO, b"500 what\r\n"), (b"HELO mail.example.org\r\n", b"550 go away\r\n")],
    ],
)
def test_a_server_that_will_not_talk_is_broken_with_its_words(driver: Driver, script: Script) -> None:
    driver.play(script)
    broken = driver.broken()
    assert broken.fault is Fault.REFUSED and broken.reply is not None and str(broken.reply) in broken.text


def test_t_tls_07_nothing_learnt_before_tls_is_used_after_it(driver: Driver) -> None:
    driver.play([*OPENING, (EHLO, b"250-mx\r\n250-STARTTLS\r\n250-PIPELINING\r\n250-SIZE 1\r\n250 8BITMIME\r\n")])
    driver.machine.start_tls()
    driver.play([(b"STARTTLS\r\n", b"220 go\r\n")])
    assert driver.events[-1] == TlsReady()
    driver.machine.tls_started()
    assert driver.machine.extensions == Extensions()
    driver.play([(EHLO, b"250-mx\r\n250 SMTPUTF8\r\n")])
    assert driver.events[-1:] == [Ready(Extensions(smtputf8=True))]


@pytest.mark.parametrize("behind", [b"250 fake-ext\r\n", b"2", b"\r\n", b"250-mx\r\n250 SIZE 0\r\n250 ok\r\n"])
def test_t_tls_06_octets_behind_the_220_end_everything(driver: Driver, behind: bytes) -> None:
    driver.play([*OPENING, (EHLO, b"250-mx\r\n250 STARTTLS\r\n")])
    driver.machine.start_tls()
    driver.play([(b"STARTTLS\r\n", b"220 go\r\n" + behind)])
    assert driver.broken().fault is Fault.INJECTION
    with pytest.raises(LocalError):
        driver.machine.tls_started()


@pytest.mark.parametrize("said", [b"454 4.7.0 no TLS today\r\n", b"502 5.5.1 never\r\n"])
def test_t_tls_08_refused_starttls_leaves_the_choice_to_the_caller(driver: Driver, said: bytes) -> None:
    driver.play([*OPENING, (EHLO, b"250-mx\r\n250 STARTTLS\r\n")])
    driver.machine.start_tls()
    driver.play([(b"STARTTLS\r\n", said)])
    assert isinstance(driver.events[-1], TlsRefused)
    assert driver.machine.state is State.READY


HOSTILE = {
    "endless line": (b"250 " + b"x" * 5000, Fault.MALFORMED),
    "a line over the limit": (b"250 " + b"x" * 5000 + b"\r\n", Fault.MALFORMED),
    "endless continuation": (b"250-x\r\n" * 101, Fault.MALFORMED),
    "codes differ": (b"250-a\r\n550 b\r\n", Fault.MALFORMED),
    "first digit 1": (b"150 a\r\n", Fault.MALFORMED),
    "first digit 6": (b"650 a\r\n", Fault.MALFORMED),
    "no code": (b"hello\r\n", Fault.MALFORMED),
    "no separator": (b"250ok\r\n", Fault.MALFORMED),
    "bare LF": (b"250 ok\n", Fault.MALFORMED),
    "empty line": (b"\r\n", Fault.MALFORMED),
    "3xx to MAIL": (b"354 go\r\n", Fault.UNEXPECTED),
    "421": (b"421 4.3.2 closing\r\n", Fault.CLOSING),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_t_net_07_hostile_replies_break_the_connection_and_the_mail_stays(driver: Driver, name: str) -> None:
    said, fault = HOSTILE[name]
    driver.play(PLAIN)
    driver.send(mail())
    driver.play([(b"MAIL FROM:<a@example.org>\r\n", said)])
    assert driver.broken().fault is fault
    ((result, _),) = driver.outcomes()
    assert result == "temporary"
    assert driver.written() == b""


def test_t_net_07_a_reply_at_the_limits_is_read(driver: Driver) -> None:
    driver.play(PLAIN)
    driver.send(mail())
    line = b"x" * (4096 - 6)
    driver.play([(b"MAIL FROM:<a@example.org>\r\n", (b"550-" + line + b"\r\n") * 99 + b"550 " + line + b"\r\n")])
    ((result, _),) = driver.outcomes()
    assert result == "permanent"


def test_t_net_07_text_that_is_not_printable_and_false_enhanced_codes_are_neutral(driver: Driver) -> None:
    driver.play(PLAIN)
    driver.send(mail())
    driver.play([(b"MAIL FROM:<a@example.org>\r\n", b"550 2.1.0 \x1b[2Jgr\xfc\xdfe\x00\r\n")])
    assert driver.outcomes() == [("permanent", "550 2.1.0 ?[2Jgr??e?")]
    ended = driver.events[-1]
    assert isinstance(ended, TransactionEnded) and ended.outcomes[0].reply.enhanced is None


@pytest.mark.parametrize("early", [b"250 2.0.0 accepted\r\n", b"552 too big\r\n", b"2"])
def test_t_net_07_a_reply_before_the_end_of_the_message_accepts_nothing(driver: Driver, early: bytes) -> None:
    driver.play(PIPELINING)
    driver.send(mail("b@example.net", "c@example.net"))
    driver.play([(GROUP, b"250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n" + early)])
    assert driver.broken().fault is Fault.EARLY
    assert [result for result, _ in driver.outcomes()] == ["temporary", "permanent"]


def test_t_net_07_a_reply_in_the_middle_of_the_message_accepts_nothing() -> None:
    driver = Driver(limits=ClientLimits(piece_octets=10))
    driver.play(PLAIN)
    driver.send(mail())
    driver.play([(b"MAIL FROM:<a@example.org>\r\n", b"250 ok\r\n"), (b"RCPT TO:<b@example.net>\r\n", b"250 ok\r\n")])
    driver.play([(b"DATA\r\n", b"354 go\r\n")])
    assert driver.machine.data_to_send() == STUFFED[:10]
    driver.hear(b"250 ok\r\n")
    assert driver.broken().fault is Fault.EARLY
    assert driver.outcomes()[0][0] == "temporary"
    assert driver.written() == b""


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.TIMED_OUT])
def test_t_net_07_a_close_after_the_dot_leaves_the_message_with_us(driver: Driver, fault: Fault) -> None:
    driver.play(PIPELINING)
    driver.send(mail("b@example.net", "c@example.net"))
    driver.play([(GROUP, b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n"), (STUFFED, b"250 o")])
    assert driver.machine.awaits is Step.MESSAGE
    driver.events += driver.machine.lost(fault)
    assert driver.broken().fault is fault
    assert [result for result, _ in driver.outcomes()] == ["temporary", "permanent"]
    assert driver.machine.lost() == []


def test_octets_while_nothing_is_asked_break_an_idle_connection(driver: Driver) -> None:
    driver.play([*PLAIN, (b"", b"250 unasked\r\n")])
    assert driver.broken().fault is Fault.EARLY


def test_a_server_that_closes_instead_of_answering_quit_has_answered(driver: Driver) -> None:
    driver.play(PLAIN)
    driver.machine.quit()
    assert driver.machine.lost() == [Closed()]


UNFIT = [
    pytest.param(mail(octets=b"x" * 1001 + b"\r\n"), Extensions(size_octets=1000), "552 5.3.4", id="rfc1870-6.1"),
    pytest.param(mail(octets=b"\r\n\xc3\xa9\r\n"), Extensions(), "554 5.6.3", id="rfc6152-3"),
    pytest.param(mail("jörg@example.net"), Extensions(eight_bit_mime=True), "553 5.6.7", id="rfc6531-3.5-recipient"),
    pytest.param(mail(sender="jörg@example.org"), Extensions(eight_bit_mime=True), "553 5.6.7", id="rfc6531-3.5-sender"),
    pytest.param(
        mail(octets="Subject: é\r\n\r\n".encode(), smtputf8=True),
        Extensions(eight_bit_mime=True),
        "553 5.6.7",
        id="rfc6531-header",
    ),
    pytest.param(mail(octets=b"a\nb\r\n"), Extensions(), "554 5.6.0", id="t_smtp_09-lf"),
    pytest.param(mail(octets=b"a\rb\r\n"), Extensions(), "554 5.6.0", id="t_smtp_09-cr"),
    pytest.param(mail(octets=b"\r\r\n\r\n"), Extensions(), "554 5.6.0", id="t_smtp_09-cr-crlf"),
    pytest.param(mail(octets=b"a\0b\r\n"), Extensions(), "554 5.6.0", id="t_smtp_09-nul"),
]


def offer(extensions: Extensions) -> bytes:
    lines = ["mx"]
    lines += [f"SIZE {extensions.size_octets}"] if extensions.size_octets is not None else []
    lines += ["8BITMIME"] if extensions.eight_bit_mime else []
    lines += ["SMTPUTF8"] if extensions.smtputf8 else []
    return "".join(f"250-{line}\r\n" for line in lines).encode() + b"250 HELP\r\n"


@pytest.mark.parametrize(("message", "extensions", "code"), UNFIT)
def test_what_the_server_cannot_take_is_refused_before_anything_is_sent(
    message: OutgoingMail, extensions: Extensions, code: str
) -> None:
    driver = Driver()
    driver.play([*OPENING, (EHLO, offer(extensions))])
    driver.send(message)
    ((result, words),) = driver.outcomes()
    assert result == "permanent" and words.startswith(code)
    assert driver.written() == b"" and driver.machine.state is State.READY


def test_parameters_are_given_when_they_are_offered_and_needed() -> None:
    driver = Driver()
    driver.play([*OPENING, (EHLO, b"250-mx\r\n250-SIZE\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")])
    driver.send(mail("jörg@example.net", octets=b"\r\n\xc3\xa9\r\n", smtputf8=True))
    driver.play(
        [
            (b"MAIL FROM:<a@example.org> SIZE=6 BODY=8BITMIME SMTPUTF8\r\n", b"250 ok\r\n"),
            ("RCPT TO:<jörg@example.net>\r\n".encode(), b"250 ok\r\n"),
        ]
    )


ASKED = {
    "rfc822": RcptParameters(("SUCCESS", "DELAY"), "rfc822;Bob+x=1 y@example.com"),
    "utf8": RcptParameters(("NEVER",), "utf-8;j\\x{FC}rgen@example.com"),
}


@pytest.mark.parametrize("offers", [True, False])
def test_t_relay_19_dsn_is_passed_on_where_it_is_offered_and_as_xtext(driver: Driver, offers: bool) -> None:
    driver.play([*OPENING, (EHLO, b"250-mx.example.net\r\n250 " + (b"DSN" if offers else b"HELP") + b"\r\n")])
    sent = mail("b@example.net", "c@example.net")
    said = dict(zip(sent.forward_paths, ASKED.values(), strict=True))
    driver.send(replace(sent, ret="HDRS", envelope_id="a+b=c d", rcpt_parameters=said))
    first, second, third = (b" RET=HDRS ENVID=a+2Bb+3Dc+20d", b" NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx+3D1+20y@example.com",
        b" NOTIFY=NEVER ORCPT=utf-8;j\\x{FC}rgen@example.com") if offers else (b"", b"", b"")  # fmt: skip
    driver.play(
        [
            (b"MAIL FROM:<a@example.org>" + first + b"\r\n", b"250 ok\r\n"),
            (b"RCPT TO:<b@example.net>" + second + b"\r\n", b"250 ok\r\n"),
            (b"RCPT TO:<c@example.net>" + third + b"\r\n", b"550 no\r\n"),
            (b"DATA\r\n", b"354 go\r\n"),
            (STUFFED, b"250 ok\r\n"),
        ]
    )
    (ended,) = [event for event in driver.events if isinstance(event, TransactionEnded)]
    assert [outcome.reports_there for outcome in ended.outcomes] == [offers, False]


def test_t_tls_25_requiretls_is_given_and_without_it_nothing_is_sent(driver: Driver) -> None:
    driver.play([*OPENING, (EHLO, b"250-mx.example.net\r\n250 REQUIRETLS\r\n")])
    driver.send(replace(mail(), require_tls=True))
    assert driver.written() == b"MAIL FROM:<a@example.org> REQUIRETLS\r\n"
    without = Driver()
    without.play(PLAIN)
    without.send(replace(mail(), require_tls=True))
    assert without.written() == b"" and without.outcomes()[0][1].startswith("550 5.7.30")


def test_only_the_recipient_that_needs_smtputf8_fails_for_lack_of_it() -> None:
    driver = Driver()
    driver.play(PLAIN)
    driver.send(mail("b@example.net", "jörg@example.net", smtputf8=True))
    driver.play(
        [
            (b"MAIL FROM:<a@example.org>\r\n", b"250 ok\r\n"),
            (b"RCPT TO:<b@example.net>\r\n", b"250 ok\r\n"),
            (b"DATA\r\n", b"354 go\r\n"),
            (STUFFED, b"250 ok\r\n"),
        ]
    )
    assert [result for result, _ in driver.outcomes()] == ["accepted", "permanent"]


@pytest.mark.parametrize("evil", ["\r\n", "\n", "\r", "\0"])
def test_t_net_08_no_argument_can_become_a_second_command(evil: str) -> None:
    driver = Driver()
    driver.play(PLAIN)
    path = ForwardPath(Address(f"b{evil}DATA", "example.net"))
    for message in (
        OutgoingMail(NULL_REVERSE_PATH, (path,), CONTENT),
        OutgoingMail(ReversePath(path.address), (ForwardPath(Address("b", "example.net")),), CONTENT),
    ):
        with pytest.raises(LocalError, match="CR, LF or NUL"):
            driver.machine.send(message)
        assert driver.written() == b""
    driver.send(mail())  # and the machine is as it was
    assert driver.written() == b"MAIL FROM:<a@example.org>\r\n"
    with pytest.raises(LocalError, match="CR, LF or NUL"):
        SmtpClient(f"mail{evil}QUIT").receive_data(b"220 hello\r\n")


@given(st.lists(st.sampled_from([b".", b"\r\n", b"a", b"..", b"\r\n.\r\n", b""]), max_size=20))
def test_t_smtp_09_what_is_sent_is_read_back_as_the_same_message(parts: list[bytes]) -> None:
    octets = b"".join(parts)
    may_leave = sound(octets)
    assert may_leave is not None
    content, rest = ContentReader(10_000).read(mail_data(may_leave))
    assert rest == b""
    assert content == (octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n")
    command, _, chunk = last_chunk(may_leave).partition(b"\r\n")
    assert (command, chunk) == (b"BDAT %d LAST" % len(content), content)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"a", b"."]), max_size=8))
def test_t_smtp_09_only_whole_line_ends_and_no_nul_may_be_written(parts: list[bytes]) -> None:
    octets = b"".join(parts)
    is_wrong = re.search(rb"\r(?!\n)|(?<!\r)\n|\0", octets) is not None
    assert sound(octets) == (None if is_wrong else octets)


SAID = st.lists(
    st.sampled_from(
        [b"250 ok\r\n", b"250-a\r\n", b"220 hi\r\n", b"354 go\r\n", b"550 5.1.1 no\r\n", b"451 later\r\n", b"421 bye\r\n",
         b"250-PIPELINING\r\n", b"250 STARTTLS\r\n", b"250 SIZE 9\r\n", b"250 CHUNKING\r\n", b"2", b"\r\n", b"\n", b"\xff\x00", b"x" * 5000]
    ) | st.binary(max_size=6),
    max_size=12,
)  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "outcome"), [(b"250 2.1.5 ok", "accepted"), (b"550 5.1.1 nobody", "permanent"), (b"450 4.2.0 x", "temporary")]
)
def test_a_question_is_answered_by_rcpt_alone(driver: Driver, answer: bytes, outcome: str) -> None:
    driver.play(PLAIN)
    driver.events += driver.machine.ask(ForwardPath(parse_mailbox("b@example.net")))
    driver.play([(b"MAIL FROM:<>\r\n", b"250 ok\r\n"), (b"RCPT TO:<b@example.net>\r\n", answer + b"\r\n")])
    assert [result for result, _ in driver.outcomes()] == [outcome]
    assert driver.machine.state is State.READY and not driver.machine.is_message_sent
    driver.send(mail("c@example.net"))
    driver.play([(b"RSET\r\n", b"250 ok\r\n")])


def test_t_relay_20_a_refused_mail_is_no_answer_to_a_question(driver: Driver) -> None:
    driver.play(PLAIN)
    driver.events += driver.machine.ask(ForwardPath(parse_mailbox("b@example.net")))
    driver.play([(b"MAIL FROM:<>\r\n", b"550 5.1.0 no\r\n")])
    assert [result for result, _ in driver.outcomes()] == ["temporary"]


def run(segments: list[bytes], tls: bool, *, octet_by_octet: bool) -> Iterator[object]:
    """Send what can be sent until the connection ends, and yield what may not depend on how the segments were cut."""
    driver = Driver(octet_by_octet=octet_by_octet)
    for segment in [*segments, b""]:
        before = len(driver.events)
        yield driver.written()
        driver.hear(segment)
        for event in driver.events[before:]:
            match event:
                case TransactionEnded(outcomes):
                    assert [outcome.forward_path for outcome in outcomes] == list(mail("b@b.test", "c@c.test").forward_paths)
                    assert all(isinstance(outcome, Outcome) and isinstance(outcome.result, Result) for outcome in outcomes)
                    yield [outcome.result for outcome in outcomes]
                case Broken(fault):
                    yield fault
                    assert driver.machine.state is State.ENDED
                case _:
                    yield event
        if driver.machine.state is State.READY:
            if tls and driver.machine.extensions.starttls:
                driver.machine.start_tls()
            else:
                driver.send(mail("b@b.test", "c@c.test"))
        elif driver.machine.state is State.HANDSHAKE:
            driver.machine.tls_started()
    driver.events += driver.machine.lost()
    yield driver.machine.state


@settings(max_examples=400, deadline=None)
@given(SAID, st.booleans())
def test_t_net_07_any_octets_give_only_documented_outcomes_whole_or_octet_by_octet(said: list[bytes], tls: bool) -> None:
    opening = [b"220 mx\r\n", b"250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n"]
    for segments in (said, [*opening, *said], [*opening[:1], b"250 mx\r\n", *said]):
        whole = list(run(segments, tls, octet_by_octet=False))
        assert whole == list(run(segments, tls, octet_by_octet=True))
        assert whole[-1] is State.ENDED


@pytest.mark.parametrize(
    ("offered", "by", "said"),
    [
        (b"DELIVERBY", DeliverBy(60, True, True), b" BY=60;RT"),
        (b"DELIVERBY 50", DeliverBy(60, True), b" BY=60;R"),
        (b"DELIVERBY 240", DeliverBy(-60, False), b" BY=-60;N"),
        (b"HELP", DeliverBy(60, False, True), b""),
    ],
)
def test_what_is_left_of_its_time_is_passed_on_where_it_is_kept(offered: bytes, by: DeliverBy, said: bytes) -> None:
    """RFC 2852 section 4.1.4."""
    driver = Driver()
    driver.play([*OPENING, (EHLO, b"250-mx.example.net\r\n250 " + offered + b"\r\n")])
    driver.send(replace(mail(), deliver_by=by))
    assert driver.written() == b"MAIL FROM:<a@example.org>" + said + b"\r\n"


@pytest.mark.parametrize(("offered", "refusal"), [(b"HELP", "554 5.3.3"), (b"DELIVERBY 61", "554 5.4.7")])
def test_what_is_to_come_back_when_late_goes_to_no_server_that_would_not_return_it(offered: bytes, refusal: str) -> None:
    """RFC 2852 section 4.1.4.2."""
    driver = Driver()
    driver.play([*OPENING, (EHLO, b"250-mx.example.net\r\n250 " + offered + b"\r\n")])
    driver.send(replace(mail(), deliver_by=DeliverBy(60, True)))
    assert driver.written() == b"" and driver.outcomes()[0][1].startswith(refusal)


@pytest.mark.parametrize(
    ("offered", "priority", "said"), [(b"MT-PRIORITY MIXER", -4, b" MT-PRIORITY=-4"), (b"MT-PRIORITY", 0, b""), (b"HELP", 3, b"")]
)
def test_a_priority_is_passed_on_where_it_is_offered(offered: bytes, priority: int, said: bytes) -> None:
    driver = Driver()
    driver.play([*OPENING, (EHLO, b"250-mx.example.net\r\n250 " + offered + b"\r\n")])
    driver.send(replace(mail(), priority=priority))
    assert driver.written() == b"MAIL FROM:<a@example.org>" + said + b"\r\n"
