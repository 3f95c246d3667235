"""The connector against real sockets that behave and misbehave, on asyncio's loop and on uvloop."""

import asyncio
import ssl
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop

from mailward.delivery.ports import HostFailed, HostFault
from mailward.delivery.route import Target
from mailward.formats.address import parse_mailbox
from mailward.model.address import NULL_REVERSE_PATH, ForwardPath
from mailward.model.tls import ANY_PEER, TlsLevel, TlsRequirement, TlsResult
from mailward.net.connect import SmtpConnector
from mailward.net.crowd import Crowd
from mailward.net.hop import SmtpHop, Timeouts
from mailward.net.tls import verifying_context
from mailward.protocol.smtp.outgoing import OutgoingMail, Result
from support.certificates import Authority
from support.smtp_peer import CLOSE, HANG, OK, Peer, peer
from support.smtp_service import throw_away_certificate

T = TypeVar("T")
SHORT = Timeouts(
    connect_s=5, greeting_s=0.3, command_s=0.3, handshake_s=1, data_s=0.3, block_s=0.3, message_s=0.3, transaction_s=5
)
PATHS = tuple(ForwardPath(parse_mailbox(text)) for text in ("b@example.net", "c@example.net"))
MAIL = OutgoingMail(NULL_REVERSE_PATH, PATHS, b"Subject: x\r\n\r\n.dot\r\n")
BIG = OutgoingMail(NULL_REVERSE_PATH, PATHS[:1], b"Subject: x\r\n\r\n" + b".line\r\n" * 1_000_000)


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return throw_away_certificate(tmp_path_factory.mktemp("tls"), "mx.example.net")


def run(work: Coroutine[Any, Any, T], loop_name: str) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop_name == "uvloop" else None) as runner:
        return runner.run(work)


def target(other: Peer, host: str = "mx.example.net", *, is_trusted: bool = True) -> Target:
    return Target(host, "127.0.0.1", other.port, is_trusted)


def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = verifying_context()
    context.load_verify_locations(certificate[0])
    return context


async def exchange(
    other: Peer,
    level: TlsLevel = TlsLevel.OPPORTUNISTIC,
    *,
    host: str = "mx.example.net",
    domain: str = "example.net",
    verifying: ssl.SSLContext | None = None,
    mail: OutgoingMail = MAIL,
    timeouts: Timeouts | None = None,
    is_trusted: bool = True,
) -> tuple[list[Result], SmtpHop]:
    connector = SmtpConnector("mail.example.org", verifying=verifying, timeouts=timeouts)
    hop = await connector.connect(target(other, host, is_trusted=is_trusted), domain, TlsRequirement(level, "the test says so"))
    results = [outcome.result for outcome in await hop.send(mail)]
    await hop.close()
    return results, hop


ACCEPTED = [Result.ACCEPTED, Result.ACCEPTED]


def test_a_message_arrives_as_it_was_and_the_connection_ends_with_quit(loop_name: str) -> None:
    with peer() as other:
        results, hop = run(exchange(other), loop_name)
        assert results == ACCEPTED and hop.tls is None and hop.sending_ip == "127.0.0.1"
        assert hop.setback is not None and hop.setback.result is TlsResult.STARTTLS_NOT_SUPPORTED
        (taken,) = other.taken
        assert taken.octets == MAIL.octets and taken.forward_paths == ("b@example.net", "c@example.net")
        assert other.verbs() == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]


def test_several_messages_use_one_connection(loop_name: str) -> None:
    async def work(other: Peer) -> None:
        hop = await SmtpConnector("mail.example.org").connect(target(other), "example.net", ANY_PEER)
        for _ in range(5):
            assert [outcome.result for outcome in await hop.send(MAIL)] == ACCEPTED
            assert hop.is_usable
        await hop.close()

    with peer() as other:
        run(work(other), loop_name)
        assert (len(other.taken), other.connections) == (5, 1)


def test_a_large_message_arrives_whole(loop_name: str, certificate: tuple[Path, Path]) -> None:
    with peer(certificate=certificate) as other:
        results, hop = run(exchange(other, mail=BIG), loop_name)
        assert results == [Result.ACCEPTED] and hop.tls is not None
        assert other.taken[0].octets == BIG.octets and other.taken[0].tls


@pytest.mark.parametrize("level", TlsLevel)
def test_t_tls_07_tls_is_used_where_it_is_offered_and_ehlo_comes_again(
    loop_name: str, certificate: tuple[Path, Path], level: TlsLevel
) -> None:
    with peer({"EHLO-TLS": b"250 mx.example.net\r\n"}, certificate=certificate) as other:
        results, hop = run(exchange(other, level, verifying=trusting(certificate)), loop_name)
        assert results == ACCEPTED and hop.tls is not None and hop.tls.version == "TLSv1.3"
        assert other.verbs()[:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
        assert other.lines[3] == "MAIL FROM:<>"  # no SIZE: what was offered before the handshake is forgotten


@pytest.mark.parametrize("delay_s", [0.0, 0.2], ids=["one segment", "a moment later"])
@pytest.mark.parametrize("level", TlsLevel)
def test_t_tls_06_octets_behind_the_220_reach_nobody(
    loop_name: str, certificate: tuple[Path, Path], level: TlsLevel, delay_s: float
) -> None:
    """In one segment the attempt ends; a moment later they meet the handshake, which fails on them."""
    injected = b"250-mx\r\n250-SIZE 7\r\n250 XINJECTED\r\n"
    answers = {"STARTTLS": b"220 go\r\n" + injected} if not delay_s else {"TLS": injected}
    with peer(answers, certificate=certificate, offers=()) as other:
        if delay_s and level is TlsLevel.OPPORTUNISTIC:
            results, hop = run(exchange(other, level, timeouts=SHORT), loop_name)
            assert hop.setback is not None and hop.setback.result is TlsResult.VALIDATION_FAILURE
            assert results == ACCEPTED and hop.tls is None and hop.machine.extensions.size_octets is None
            assert other.connections == 2
            return
        with pytest.raises(HostFailed) as failed:
            run(exchange(other, level, verifying=trusting(certificate), timeouts=SHORT), loop_name)
        assert failed.value.fault is (HostFault.TLS if delay_s else HostFault.UNREACHABLE)
        assert "MAIL" not in other.verbs() and other.verbs().count("EHLO") == 1


@pytest.mark.parametrize("level", [TlsLevel.REQUIRED, TlsLevel.VERIFIED])
@pytest.mark.parametrize("said", [b"454 4.7.0 TLS not available\r\n", b"502 5.5.1 not implemented\r\n", CLOSE])
def test_t_tls_08_where_tls_is_needed_a_stripped_starttls_never_goes_in_clear(
    loop_name: str, certificate: tuple[Path, Path], level: TlsLevel, said: bytes
) -> None:
    with peer(certificate=None) as plain, pytest.raises(HostFailed, match="does not offer STARTTLS") as failed:
        run(exchange(plain, level), loop_name)
    assert failed.value.fault is HostFault.NO_TLS
    with peer({"STARTTLS": said}, certificate=certificate) as other, pytest.raises(HostFailed) as failed:
        run(exchange(other, level), loop_name)
    assert failed.value.fault is (HostFault.UNREACHABLE if said == CLOSE else HostFault.TLS)
    assert "MAIL" not in other.verbs() + plain.verbs()


@pytest.mark.parametrize(
    "answers", [{"STARTTLS": b"454 4.7.0 TLS not available\r\n"}, {"TLS": b"no TLS here\r\n"}, {"TLS": CLOSE}]
)
def test_t_tls_08_opportunistic_mail_goes_in_clear_where_tls_does_not_work(
    loop_name: str, certificate: tuple[Path, Path], answers: dict[str, bytes]
) -> None:
    with peer(answers, certificate=certificate) as other:
        results, hop = run(exchange(other), loop_name)
        assert results == ACCEPTED and hop.tls is None and not other.taken[0].tls


@pytest.mark.parametrize(
    "offer",
    [b"250 mx STARTTLS\r\n", b"250-mx\r\n250 XSTARTTLS\r\n", b"250-mx\r\n250 STARTTLSX\r\n", b"250-mx\r\n250 AUTH STARTTLS\r\n"],
    ids=["greeting", "prefix", "suffix", "argument"],
)
@pytest.mark.parametrize("level", TlsLevel)
def test_t_tls_08_what_only_looks_like_an_offer_is_none(loop_name: str, offer: bytes, level: TlsLevel) -> None:
    with peer({"EHLO": offer}) as other:
        if level is TlsLevel.OPPORTUNISTIC:
            assert run(exchange(other, level), loop_name)[0] == ACCEPTED
        else:
            with pytest.raises(HostFailed, match="does not offer STARTTLS"):
                run(exchange(other, level), loop_name)
        assert "STARTTLS" not in other.verbs() and ("MAIL" in other.verbs()) == (level is TlsLevel.OPPORTUNISTIC)


@pytest.mark.parametrize("keyword", [b"starttls", b"StartTls", b"STARTTLS with a parameter"])
def test_t_tls_08_an_offer_may_be_spelt_in_any_way(loop_name: str, certificate: tuple[Path, Path], keyword: bytes) -> None:
    with peer({"EHLO": b"250-mx\r\n250 " + keyword + b"\r\n"}, certificate=certificate) as other:
        results, hop = run(exchange(other, TlsLevel.REQUIRED), loop_name)
        assert results == ACCEPTED and hop.tls is not None


NO_GO = [
    b"250 go\r\n",
    b"354 go\r\n",
    b"150 go\r\n",
    b"220 go\n",
    b"220go\r\n",
    b"220-go\r\n250 go\r\n",
    b"go\r\n",
    b"221 bye\r\n",
    HANG,
]


@pytest.mark.parametrize("said", NO_GO, ids=repr)
@pytest.mark.parametrize("level", TlsLevel)
def test_t_tls_08_an_answer_to_starttls_that_is_no_220_starts_nothing(
    loop_name: str, certificate: tuple[Path, Path], level: TlsLevel, said: bytes
) -> None:
    """Where TLS must be, no word of the mail is said; where it need not, it goes in clear at most."""
    with peer({"STARTTLS": said}, certificate=certificate) as other:
        try:
            _, hop = run(exchange(other, level, timeouts=SHORT), loop_name)
        except HostFailed:
            assert "MAIL" not in other.verbs()
        else:
            assert level is TlsLevel.OPPORTUNISTIC and hop.tls is None
        assert not other.taken or level is TlsLevel.OPPORTUNISTIC


@pytest.mark.parametrize(
    "greeting", [b"220 mx\r\n250 mx\r\n", b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n"], ids=["250", "220"]
)
@pytest.mark.parametrize("level", TlsLevel)
def test_t_tls_06_answers_that_come_with_the_greeting_answer_nothing(
    loop_name: str, certificate: tuple[Path, Path], greeting: bytes, level: TlsLevel
) -> None:
    with peer({"CONNECT": greeting}, certificate=certificate) as other:
        try:
            results, _ = run(exchange(other, level, timeouts=SHORT), loop_name)
        except HostFailed:
            assert "MAIL" not in other.verbs()
        else:
            assert level is TlsLevel.OPPORTUNISTIC and Result.ACCEPTED not in results
        assert "STARTTLS" not in other.verbs() and not other.taken


def test_t_tls_09_starttls_is_not_asked_for_again_under_tls(loop_name: str, certificate: tuple[Path, Path]) -> None:
    with peer({"EHLO-TLS": b"250-mx\r\n250 STARTTLS\r\n"}, certificate=certificate) as other:
        results, hop = run(exchange(other, TlsLevel.REQUIRED), loop_name)
        assert results == ACCEPTED and hop.tls is not None and other.verbs().count("STARTTLS") == 1


@pytest.mark.parametrize("said", [b"421 4.3.2 closing\r\n", b"no SMTP\r\n", CLOSE, HANG], ids=repr)
def test_t_tls_08_trouble_behind_the_handshake_is_no_reason_to_go_in_clear_where_tls_must_be(
    loop_name: str, certificate: tuple[Path, Path], said: bytes
) -> None:
    with peer({"EHLO-TLS": said}, certificate=certificate) as other:
        with pytest.raises(HostFailed):
            run(exchange(other, TlsLevel.REQUIRED, timeouts=SHORT), loop_name)
        assert other.connections == 1 and "MAIL" not in other.verbs()


@pytest.mark.parametrize(
    ("host", "domain", "proven"),
    [
        ("mx.example.net", "example.net", True),
        ("MX.Example.Net", "example.com", True),
        ("mx7.provider.example", "mx.example.net", True),
        ("mx.example.com", "example.com", False),
        ("example.net", "net", False),
        ("a.mx.example.net", "example.net", False),
    ],
)
def test_a_verified_certificate_names_the_host_or_the_domain(
    certificate: tuple[Path, Path], host: str, domain: str, proven: bool
) -> None:
    with peer(certificate=certificate) as other:
        work = exchange(other, TlsLevel.VERIFIED, host=host, domain=domain, verifying=trusting(certificate))
        if proven:
            assert run(work, "asyncio")[0] == ACCEPTED
        else:
            with pytest.raises(HostFailed, match="does not name") as failed:
                run(work, "asyncio")
            assert failed.value.fault is HostFault.TLS and failed.value.result is TlsResult.CERTIFICATE_HOST_MISMATCH
            assert failed.value.sending_ip == "127.0.0.1"


@pytest.mark.parametrize(("domain", "proven"), [("example.net", False), ("mx.example.net", True)])
def test_t_tls_08_the_name_of_a_host_that_plain_dns_named_proves_nothing(
    certificate: tuple[Path, Path], domain: str, proven: bool
) -> None:
    """Whoever forges the MX record has a good certificate for the host in it, but none for the domain."""
    with peer(certificate=certificate) as other:
        work = exchange(other, TlsLevel.VERIFIED, domain=domain, verifying=trusting(certificate), is_trusted=False)
        if proven:
            assert run(work, "asyncio")[0] == ACCEPTED
            return
        with pytest.raises(HostFailed, match=r"does not name example.net \(that mx.example.net serves it is not proven"):
            run(work, "asyncio")
        assert "MAIL" not in other.verbs()


def test_a_wildcard_stands_for_one_label(tmp_path: Path) -> None:
    wild = throw_away_certificate(tmp_path, "*.example.net")
    with peer(certificate=wild) as other:
        for host, proven in (("mx.example.net", True), ("a.mx.example.net", False), ("example.net", False)):
            work = exchange(other, TlsLevel.VERIFIED, host=host, domain="other.test", verifying=trusting(wild))
            if proven:
                run(work, "asyncio")
            else:
                with pytest.raises(HostFailed, match="does not name"):
                    run(work, "asyncio")


def test_a_certificate_nobody_vouches_for_is_enough_unless_it_must_be_verified(
    loop_name: str, certificate: tuple[Path, Path]
) -> None:
    with peer(certificate=certificate) as other:
        assert run(exchange(other, TlsLevel.REQUIRED), loop_name)[1].tls is not None
        with pytest.raises(HostFailed, match="not trusted") as failed:
            run(exchange(other, TlsLevel.VERIFIED), loop_name)
        assert failed.value.fault is HostFault.TLS


STEPS = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "MESSAGE"]


@pytest.mark.parametrize(
    "answer", [HANG, CLOSE, b"250 never ends", b"250 " + b"x" * 10_000_000], ids=["hang", "close", "half", "flood"]
)
@pytest.mark.parametrize("step", STEPS)
def test_t_net_07_a_peer_that_stops_at_any_step_costs_its_time_and_no_mail(step: str, answer: bytes) -> None:
    with peer({step: answer}) as other:
        try:
            results, _ = run(exchange(other, timeouts=SHORT), "uvloop")
        except HostFailed as failure:
            assert step in ("CONNECT", "EHLO") and failure.fault is HostFault.UNREACHABLE
        else:
            assert results == [Result.TEMPORARY, Result.TEMPORARY]
        assert not [taken for taken in other.taken if step != "MESSAGE"]


def test_t_net_07_a_peer_that_does_not_read_is_left(loop_name: str) -> None:
    with peer(reads_mail_data=False) as other:
        results, _ = run(exchange(other, mail=BIG, timeouts=SHORT), loop_name)
        assert results == [Result.TEMPORARY]


def test_t_net_07_a_421_in_the_middle_of_the_message_leaves_it_with_us(loop_name: str) -> None:
    with peer({"DATA": b"354 go\r\n421 4.3.2 going down\r\n"}) as other:
        results, _ = run(exchange(other, mail=BIG, timeouts=SHORT), loop_name)
        assert results == [Result.TEMPORARY]


def test_one_recipient_of_two_is_refused(loop_name: str) -> None:
    with peer({"RCPT c@example.net": b"550 5.1.1 nobody\r\n"}) as other:
        results, _ = run(exchange(other), loop_name)
        assert results == [Result.ACCEPTED, Result.PERMANENT]
        assert other.taken[0].forward_paths == ("b@example.net",)


def test_the_source_address_is_used() -> None:
    async def work(other: Peer) -> str:
        connector = SmtpConnector("mail.example.org", source=("127.0.0.9",))
        hop = await connector.connect(target(other), "example.net", ANY_PEER)
        transport = hop._wire.transport
        assert transport is not None
        name: str = transport.get_extra_info("sockname")[0]
        await hop.close()
        return name

    with peer() as other:
        assert run(work(other), "uvloop") == "127.0.0.9"


def test_a_port_where_nobody_listens_is_unreachable(loop_name: str) -> None:
    with peer() as other:
        gone = other
    with pytest.raises(HostFailed, match="no connection: ") as failed:
        run(exchange(gone), loop_name)
    assert failed.value.fault is HostFault.UNREACHABLE


def test_nothing_answers_slowly_for_ever() -> None:
    """Each reply has its time, and all of a transaction together too."""
    slow = Timeouts(command_s=5, data_s=5, message_s=5, transaction_s=0.5)

    def later(other: Peer) -> bytes:
        with other.changed:
            other.changed.wait(0.3)
        return OK

    with peer({"RCPT": later, "MAIL": later, "MESSAGE": later}, offers=()) as other:
        results, _ = run(exchange(other, timeouts=slow), "uvloop")
        assert results == [Result.TEMPORARY, Result.TEMPORARY]


@pytest.mark.parametrize(
    ("names", "days", "trusts", "said"),
    [
        (("mx.example.net",), 1, True, ""),
        (("*.example.net",), 1, True, ""),
        (("mx.else.test",), 1, True, "its certificate does not name mx.example.net or example.net"),
        (("mx.example.net",), -1, True, "its certificate has expired"),
        (("mx.example.net",), 1, False, "no authority that is trusted here vouches for its certificate"),
    ],
)
def test_of_a_connection_that_wants_no_proof_it_is_known_whether_there_would_be_one(
    loop_name: str, tmp_path: Path, names: tuple[str, ...], days: int, trusts: bool, said: str
) -> None:
    """As a connection that wants proof finds it, which is tried too."""
    authority = Authority(tmp_path)
    issued = authority.issue(*names, days=days)
    trusted = verifying_context()
    if trusts:
        trusted.load_verify_locations(authority.file)
    with peer(certificate=(issued.certificate, issued.key)) as other:
        results, hop = run(exchange(other, verifying=trusted), loop_name)
        assert results == ACCEPTED and hop.level is TlsLevel.REQUIRED
        assert hop.unproven is not None and hop.unproven.startswith(said) and bool(hop.unproven) is bool(said)
        if said:
            with pytest.raises(HostFailed):
                run(exchange(other, TlsLevel.VERIFIED, verifying=trusted), loop_name)
        else:
            _, hop = run(exchange(other, TlsLevel.VERIFIED, verifying=trusted), loop_name)
            assert hop.level is TlsLevel.VERIFIED and hop.unproven is None


def test_t_q_16_a_network_has_no_more_connections_than_its_share(loop_name: str) -> None:
    """However many domains and addresses are there; what ended, or was never made, takes no place."""

    async def work() -> None:
        connector = SmtpConnector("mail.example.org", timeouts=SHORT, crowd=Crowd(3))
        with peer() as far, peer({"CONNECT": HANG}) as tarpit:
            crowd = [await connector.connect(target(far), f"d{n}.test", ANY_PEER) for n in range(3)]
            for other in (replace(target(far), address="127.0.0.9"), target(tarpit)):
                with pytest.raises(HostFailed, match="3 connections to its network are open already") as failure:
                    await connector.connect(other, "more.test", ANY_PEER)
                assert failure.value.fault is HostFault.CROWDED
            chosen = await connector.connect(replace(target(far), is_routed=True), "chosen.test", ANY_PEER)
            await crowd.pop().close()
            crowd[0].abort()
            crowd[0].abort()
            for _ in range(4):
                with pytest.raises(HostFailed, match="no reply in time"):
                    await connector.connect(target(tarpit), "slow.test", ANY_PEER)
                with pytest.raises(HostFailed, match="no connection"):
                    await connector.connect(replace(target(far), port=1), "closed.test", ANY_PEER)
            crowd += [await connector.connect(target(far), "new.test", ANY_PEER) for _ in range(2)]
            for hop in (*crowd, chosen):
                await hop.close()

    run(work(), loop_name)
