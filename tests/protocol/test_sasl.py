"""PLAIN by the examples of RFC 4616, LOGIN as clients speak it, and what is neither (T-AUTH-06)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.protocol.sasl import (
    Ask,
    LoginServer,
    NoResponseError,
    Offer,
    PlainServer,
    SaltWanted,
    SaslError,
    encode,
    initial_response,
    response,
)
from mailward.protocol.scram import ScramServer


def refusal(mechanism: PlainServer | LoginServer | ScramServer, response: bytes | None) -> str:
    with pytest.raises(SaslError) as caught:
        mechanism.respond(response)
    return caught.value.reason


def test_framing_by_the_example_of_rfc_4954() -> None:
    assert initial_response(b"dGVzdAB0ZXN0ADEyMzQ=") == b"test\0test\x001234"
    assert (encode(b""), initial_response(b"="), response(b"")) == (b"", b"", b"")


@given(st.binary())
def test_what_is_encoded_is_decoded(octets: bytes) -> None:
    assert response(encode(octets)) == octets
    assert b"\n" not in encode(octets)


@pytest.mark.parametrize("line", [b"a", b"YQ", b"YQ=", b"Y!Q==", b"YQ==YQ==", b" YQ==", b"YQ==\r", b"**"])
def test_t_auth_06_what_is_not_base64(line: bytes) -> None:
    for read in (initial_response, response):
        with pytest.raises(NoResponseError) as caught:
            read(line)
        assert not caught.value.was_cancelled


def test_t_auth_06_an_empty_word_is_for_the_beginning_and_a_star_for_what_has_begun() -> None:
    for read, octets, was_cancelled in ((response, b"*", True), (response, b"=", False), (initial_response, b"*", False)):
        with pytest.raises(NoResponseError) as caught:
            read(octets)
        assert caught.value.was_cancelled == was_cancelled


def test_plain_of_rfc_4616() -> None:
    assert PlainServer().respond(b"\0tim\0tanstaaftanstaaf") == Offer("tim", "tanstaaftanstaaf")
    assert refusal(PlainServer(), b"Ursel\0Kurt\0xipj3plmq") == "failed", "somebody else's account"
    assert PlainServer().respond(None) == Ask(b"")


def test_plain_with_an_authzid_of_the_same_name() -> None:
    assert PlainServer().respond(b"Tim@example.org\0tim@example.org\0p") == Offer("tim@example.org", "p")
    assert PlainServer().respond("\0ü\0☃".encode()) == Offer("ü", "☃")
    assert PlainServer().final() is None


@pytest.mark.parametrize(
    "response",
    [b"", b"tim", b"\0tim", b"\0tim\0", b"\0\0p", b"\0tim\0p\0", b"\0tim\0p\0q", b"\0\xff\0p", b"\0tim\0\xc3", b"\xff\0tim\0p"],
)
def test_t_auth_06_what_is_not_plain(response: bytes) -> None:
    assert refusal(PlainServer(), response) == "malformed"


def test_login() -> None:
    server = LoginServer()
    assert server.respond(None) == Ask(b"Username:")
    assert server.respond(b"tim") == Ask(b"Password:")
    assert server.respond(b"secret") == Offer("tim", "secret")
    assert server.final() is None


def test_login_with_the_name_as_initial_response() -> None:
    server = LoginServer()
    assert server.respond(b"tim") == Ask(b"Password:")
    assert server.respond(b"secret") == Offer("tim", "secret")


@pytest.mark.parametrize("response", [b"", b"a\0b", b"\xff"])
def test_t_auth_06_what_is_not_login(response: bytes) -> None:
    assert refusal(LoginServer(), response) == "malformed"
    server = LoginServer()
    server.respond(b"tim")
    assert refusal(server, response) == "malformed"


@given(st.sampled_from([PlainServer, LoginServer, ScramServer]), st.lists(st.none() | st.binary(max_size=80), max_size=4))
def test_t_auth_06_whatever_comes_is_a_step_or_a_refusal(
    make: type[PlainServer | LoginServer | ScramServer], responses: list[bytes | None]
) -> None:
    server = make()
    try:
        for response in responses:
            step = server.respond(response)
            assert isinstance(step, Ask | SaltWanted | Offer)
    except SaslError as error:
        assert error.reason in ("failed", "malformed")
