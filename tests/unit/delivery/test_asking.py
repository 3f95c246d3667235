"""What a next hop says of a recipient, over real sockets (T-RELAY-20)."""

from pathlib import Path

import pytest

from mailward.delivery.asking import RecipientQuestions
from mailward.delivery.route import Router
from mailward.delivery.static_hop import StaticHop
from mailward.formats.address import parse_mailbox
from mailward.model.address import ForwardPath
from mailward.net.connect import SmtpConnector
from mailward.testing import FakeZone
from support.smtp_peer import CLOSE, HANG, Answer, Peer, peer


async def ask(far: Peer, recipient: str = "bob@far.test", limit_s: float = 10.0) -> bool | None:
    router = Router(FakeZone(), hostname="mx.example.org", routes={"far.test": StaticHop("127.0.0.1", far.port)})
    questions = RecipientQuestions(router, SmtpConnector("mx.example.org"), limit_s)
    return await questions.ask(ForwardPath(parse_mailbox(recipient)))


@pytest.mark.parametrize("offers", [("PIPELINING",), ("SIZE 1000",), ()])
async def test_a_recipient_is_asked_for_without_a_message(offers: tuple[str, ...]) -> None:
    with peer({"RCPT eve@far.test": b"550 5.1.1 nobody\r\n"}, offers=offers) as far:
        assert await ask(far) is True
        assert await ask(far, "eve@far.test") is False
        assert far.verbs() == ["EHLO", "MAIL", "RCPT", "QUIT"] * 2
        assert far.lines[1].startswith("MAIL FROM:<>") and far.taken == []


@pytest.mark.parametrize(
    "said", [b"550 5.1.1 nobody\r\n", b"550 nobody\r\n", b"550 5.4.1 Recipient address rejected\r\n", b"553 5.1.3 x\r\n"]
)
async def test_a_real_no(said: bytes) -> None:
    with peer({"RCPT": said}) as far:
        assert await ask(far) is False


@pytest.mark.parametrize(
    "answers",
    [
        {"RCPT": b"450 4.2.1 busy\r\n"},
        {"RCPT": b"552 too many recipients\r\n"},
        {"RCPT": b"554 5.7.1 your address is on a blocklist\r\n"},
        {"RCPT": b"550 5.7.606 access denied\r\n"},
        {"RCPT": b"421 4.3.2 going down\r\n"},
        {"RCPT": b"rubbish\r\n"},
        {"RCPT": CLOSE},
        {"MAIL": b"550 5.1.0 no bounces here\r\n"},
        {"MAIL": b"550 5.1.0 no bounces here\r\n", "RCPT": b"503 5.5.1 bad sequence\r\n"},
        {"CONNECT": b"554 5.3.2 no mail here\r\n"},
        {"CONNECT": CLOSE},
        {"EHLO": b"550 5.7.1 no\r\n", "HELO": b"550 5.7.1 no\r\n"},
    ],
)
async def test_t_relay_20_whatever_else_goes_wrong_is_no_answer(answers: dict[str, Answer]) -> None:
    for offers in (("PIPELINING",), ()):
        with peer(answers, offers=offers) as far:
            assert await ask(far) is None


async def test_t_relay_20_an_address_the_next_hop_cannot_be_asked_for_is_no_no() -> None:
    with peer(offers=("PIPELINING",)) as far:
        assert await ask(far, "j\u00f6rg@far.test") is None
        assert far.verbs() == ["EHLO", "QUIT"]


async def test_a_next_hop_that_says_nothing_costs_the_limit(tmp_path: Path) -> None:
    with peer({"RCPT": HANG}) as far:
        assert await ask(far, limit_s=0.3) is None


async def test_a_next_hop_that_is_not_there() -> None:
    far = Peer()
    far.close()
    assert await ask(far) is None


async def test_a_domain_that_is_not_in_dns() -> None:
    router = Router(FakeZone(), hostname="mx.example.org", routes={})
    questions = RecipientQuestions(router, SmtpConnector("mx.example.org"))
    assert await questions.ask(ForwardPath(parse_mailbox("a@far.test"))) is None
