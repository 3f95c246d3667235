"""The client machine with LMTP: the dialogue of RFC 2033, and servers whose replies do not fit their recipients."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.address import parse_mailbox
from mailward.model.address import ForwardPath, ReversePath
from mailward.protocol.smtp.client import SmtpClient
from mailward.protocol.smtp.client_states import Broken, Closed, Event, Fault, State, TransactionEnded
from mailward.protocol.smtp.outgoing import OutgoingMail

CONTENT = b"Subject: x\r\n\r\n.hidden\r\n"
STUFFED = b"Subject: x\r\n\r\n..hidden\r\n.\r\n"
CHUNK = b"BDAT 23 LAST\r\n" + CONTENT
ENVELOPE = b"MAIL FROM:<chris@bar.com>\r\nRCPT TO:<pat@foo.edu>\r\nRCPT TO:<jones@foo.edu>\r\nRCPT TO:<green@foo.edu>\r\n"


class Talk:
    """pieces: is each reply heard octet by octet?"""

    def __init__(self, *offers: str, octet_by_octet: bool = False) -> None:
        self.machine = SmtpClient("bar.com", is_lmtp=True)
        self.events: list[Event] = []
        self._octet_by_octet = octet_by_octet
        self.hear(b"220 foo.edu LMTP server ready\r\n")
        assert self.written() == b"LHLO bar.com\r\n"
        lines = ["foo.edu", *offers]
        self.hear("".join(f"250{'-' if n < len(offers) else ' '}{line}\r\n" for n, line in enumerate(lines)).encode())

    def written(self) -> bytes:
        return b"".join(iter(self.machine.data_to_send, b""))

    def hear(self, octets: bytes) -> None:
        for piece in [bytes([octet]) for octet in octets] if self._octet_by_octet else [octets]:
            self.events += self.machine.receive_data(piece)

    def send(self) -> None:
        paths = tuple(ForwardPath(parse_mailbox(f"{name}@foo.edu")) for name in ("pat", "jones", "green"))
        self.events += self.machine.send(OutgoingMail(ReversePath(parse_mailbox("chris@bar.com")), paths, CONTENT))

    def outcomes(self) -> list[tuple[str, str]]:
        (ended,) = [event for event in self.events if isinstance(event, TransactionEnded)]
        return [(outcome.result.value, str(outcome.reply)) for outcome in ended.outcomes]

    def fault(self) -> Fault:
        (broken,) = [event for event in self.events if isinstance(event, Broken)]
        assert self.machine.state is State.ENDED
        return broken.fault


@pytest.fixture(params=[False, True], ids=["whole", "octets"])
def octet_by_octet(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


ACCEPTED = b"250 OK\r\n250 OK\r\n550 No such user here\r\n250 OK\r\n"


@pytest.mark.parametrize("offers", [("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_rfc_2033_4_4_each_accepted_recipient_has_its_own_reply(offers: Sequence[str], octet_by_octet: bool) -> None:
    """The session of the RFC's example; jones is refused, so there are two replies to the message."""
    talk = Talk(*offers, octet_by_octet=octet_by_octet)
    talk.send()
    if "CHUNKING" in offers:
        assert talk.written() == ENVELOPE
        talk.hear(ACCEPTED)
        assert talk.written() == CHUNK
    else:
        assert talk.written() == ENVELOPE + b"DATA\r\n"
        talk.hear(ACCEPTED + b"354 Start mail input; end with <CRLF>.<CRLF>\r\n")
        assert talk.written() == STUFFED
    talk.hear(b"250 OK\r\n")
    assert not [event for event in talk.events if isinstance(event, TransactionEnded)]
    talk.hear(b"452 <green@foo.edu> is temporarily over quota\r\n")
    assert talk.outcomes() == [
        ("accepted", "250 OK"),
        ("permanent", "550 No such user here"),
        ("temporary", "452 <green@foo.edu> is temporarily over quota"),
    ]
    assert talk.machine.state is State.READY
    talk.machine.quit()
    assert talk.written() == b"QUIT\r\n"
    talk.hear(b"221 foo.edu closing connection\r\n")
    assert talk.events[-1] == Closed()


def test_lhlo_that_is_refused_is_not_followed_by_helo() -> None:
    talk = Talk.__new__(Talk)
    talk.machine, talk.events, talk._octet_by_octet = SmtpClient("bar.com", is_lmtp=True), [], False
    talk.hear(b"220 foo.edu ESMTP\r\n")
    assert talk.written() == b"LHLO bar.com\r\n"
    talk.hear(b"500 5.5.1 what?\r\n")
    assert talk.fault() is Fault.REFUSED and talk.written() == b""


def sent(*offers: str, octet_by_octet: bool = False) -> Talk:
    """pat and green are accepted, and the message is out."""
    talk = Talk(*offers, octet_by_octet=octet_by_octet)
    talk.send()
    talk.written()
    talk.hear(ACCEPTED)
    if "CHUNKING" not in offers:
        talk.hear(b"354 go\r\n")
    assert talk.written().endswith(CHUNK if "CHUNKING" in offers else STUFFED)
    return talk


@pytest.mark.parametrize("offers", [("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_who_had_no_reply_when_the_connection_ends_has_no_success(offers: Sequence[str], octet_by_octet: bool) -> None:
    talk = sent(*offers, octet_by_octet=octet_by_octet)
    talk.hear(b"250 OK\r\n")
    talk.events += talk.machine.lost()
    pat, jones, green = talk.outcomes()
    assert (pat, jones[0], green[0]) == (("accepted", "250 OK"), "permanent", "temporary")
    assert talk.fault() is Fault.LOST


def test_421_behind_the_first_reply_is_for_the_others(octet_by_octet: bool) -> None:
    talk = sent("PIPELINING", octet_by_octet=octet_by_octet)
    talk.hear(b"250 OK\r\n421 4.3.2 going down\r\n")
    assert [result for result, _ in talk.outcomes()] == ["accepted", "permanent", "temporary"]
    assert talk.fault() is Fault.CLOSING


def test_421_behind_all_replies_changes_none(octet_by_octet: bool) -> None:
    talk = sent("PIPELINING", octet_by_octet=octet_by_octet)
    talk.hear(b"250 OK\r\n250 OK\r\n421 4.3.2 going down\r\n")
    assert [result for result, _ in talk.outcomes()] == ["accepted", "permanent", "accepted"]
    assert talk.machine.state is State.ENDED


def test_of_more_replies_than_recipients_none_is_believed() -> None:
    """One for the message and then one for each: the 250 is nobody's, and pat is not taken for delivered."""
    talk = sent("PIPELINING")
    talk.hear(b"250 OK\r\n452 4.2.2 full\r\n250 OK\r\n")
    assert [result for result, _ in talk.outcomes()] == ["temporary", "permanent", "temporary"]
    assert talk.fault() is Fault.MISCOUNTED


def test_data_that_is_refused_is_one_reply_for_all(octet_by_octet: bool) -> None:
    talk = Talk("PIPELINING", octet_by_octet=octet_by_octet)
    talk.send()
    talk.written()
    talk.hear(ACCEPTED + b"452 4.3.1 no room\r\n")
    assert [result for result, _ in talk.outcomes()] == ["temporary", "permanent", "temporary"]
    assert talk.machine.state is State.READY


def test_rfc_2033_4_2_data_without_a_recipient_must_fail() -> None:
    no = b"550 5.1.1 no\r\n"
    talk = Talk("PIPELINING")
    talk.send()
    talk.written()
    talk.hear(b"250 OK\r\n" + no * 3 + b"503 5.5.1 no valid recipients\r\n")
    assert talk.outcomes() == [("permanent", "550 5.1.1 no")] * 3 and talk.machine.state is State.READY
    talk.events.clear()
    talk.send()
    talk.written()
    talk.hear(b"250 OK\r\n" + no * 3 + b"354 go\r\n")
    assert talk.outcomes() == [("permanent", "550 5.1.1 no")] * 3 and talk.fault() is Fault.UNEXPECTED
    assert talk.written() == b""


REPLY = st.sampled_from([b"250 OK\r\n", b"250-two\r\n250 lines\r\n", b"452 4.2.2 full\r\n", b"550 5.1.1 no\r\n"])


@given(st.lists(REPLY, max_size=4), st.booleans(), st.booleans())
def test_a_recipient_is_accepted_by_its_own_reply_and_nothing_else(replies: list[bytes], chunking: bool, octets: bool) -> None:
    offers = ("PIPELINING", "CHUNKING") if chunking else ("PIPELINING",)
    talk = sent(*offers, octet_by_octet=octets)
    talk.hear(b"".join(replies))
    talk.events += talk.machine.lost()
    pat, jones, green = (result for result, _ in talk.outcomes())
    assert jones == "permanent"
    for number, result in enumerate((pat, green)):
        if result == "accepted":
            assert replies[number].startswith(b"250") and (len(replies) <= 2 or octets)
        elif result == "permanent":
            assert replies[number].startswith(b"550")
        else:
            assert number >= len(replies) or replies[number].startswith(b"452") or len(replies) > 2
