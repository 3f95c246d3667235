"""AUTH by the client machine: the dialogues of RFC 4954, and servers that say something else."""

import pytest

from mailward.protocol.sasl_client import LoginClient, PlainClient, ScramClient
from mailward.protocol.smtp.client import SmtpClient
from mailward.protocol.smtp.client_states import Broken, Event, LoggedIn, LoginRefused, State

EHLO = b"250-mx.example.net\r\n250 AUTH PLAIN login\r\n"
PLAIN = b"AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"


def ready() -> SmtpClient:
    machine = SmtpClient("mail.example.org")
    machine.receive_data(b"220 mx.example.net\r\n")
    machine.data_to_send()
    machine.receive_data(EHLO)
    assert machine.extensions.auth == {"PLAIN", "LOGIN"}
    return machine


def said(machine: SmtpClient, octets: bytes) -> list[Event]:
    """What one reply means, in pieces."""
    return [event for octet in octets for event in machine.receive_data(bytes([octet]))]


def test_rfc_4954_4_plain_in_one_command() -> None:
    machine = ready()
    machine.log_in(PlainClient("ann", "secret"))
    assert machine.data_to_send() == PLAIN
    assert said(machine, b"235 2.7.0 welcome\r\n") == [LoggedIn()]
    assert machine.state is State.READY


def test_login_answers_two_questions() -> None:
    machine = ready()
    machine.log_in(LoginClient("ann", "secret"))
    assert machine.data_to_send() == b"AUTH LOGIN\r\n"
    assert said(machine, b"334 VXNlcm5hbWU6\r\n") == [] and machine.data_to_send() == b"YW5u\r\n"
    assert said(machine, b"334 \r\n") == [] and machine.data_to_send() == b"c2VjcmV0\r\n"
    assert said(machine, b"235 2.7.0 welcome\r\n") == [LoggedIn()]


@pytest.mark.parametrize("refusal", [b"535 5.7.8 no\r\n", b"454 4.7.0 later\r\n", b"504 5.5.4 no\r\n"])
def test_a_refusal_leaves_the_connection_open(refusal: bytes) -> None:
    machine = ready()
    machine.log_in(PlainClient("ann", "secret"))
    machine.data_to_send()
    ((event,),) = [said(machine, refusal)]
    assert isinstance(event, LoginRefused) and event.text in refusal.decode()
    assert machine.state is State.READY


@pytest.mark.parametrize("challenge", [b"334 more\r\n", b"334 ====\r\n", b"334 *\r\n", b"334-a\r\n334 b\r\n"])
def test_a_challenge_that_makes_no_sense_ends_the_exchange(challenge: bytes) -> None:
    machine = ready()
    machine.log_in(PlainClient("ann", "secret"))
    machine.data_to_send()
    assert said(machine, challenge) == []
    assert machine.data_to_send() == b"*\r\n"
    ((event,),) = [said(machine, b"501 5.7.0 cancelled\r\n")]
    assert isinstance(event, LoginRefused)


@pytest.mark.parametrize("answer", [b"235 2.7.0 welcome\r\n", b"220 hm\r\n", b"354 go\r\n"])
def test_a_success_without_the_proof_of_the_server_is_none(answer: bytes) -> None:
    machine = ready()
    machine.log_in(ScramClient("ann", "secret"))
    machine.data_to_send()
    (event,) = said(machine, answer)
    assert isinstance(event, Broken) and machine.state is State.ENDED


def test_a_success_after_we_gave_up_is_none() -> None:
    machine = ready()
    machine.log_in(LoginClient("ann", "secret"))
    for _ in range(3):
        machine.data_to_send()
        assert said(machine, b"334 \r\n") == []
    assert machine.data_to_send() == b"*\r\n"
    (event,) = said(machine, b"235 2.7.0 welcome\r\n")
    assert isinstance(event, Broken)


def test_a_server_that_goes_on_asking_after_we_gave_up_is_left() -> None:
    machine = ready()
    machine.log_in(PlainClient("ann", "secret"))
    machine.data_to_send()
    assert said(machine, b"334 more\r\n") == [] and machine.data_to_send() == b"*\r\n"
    (event,) = said(machine, b"334 still more\r\n")
    assert isinstance(event, Broken) and machine.state is State.ENDED
