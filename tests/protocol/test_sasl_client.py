"""Our side of a login: the exchange of RFC 7677, our own server as the peer, and servers that cannot be trusted."""

import base64

import pytest

from mailward.protocol.sasl import Ask, Offer, SaltWanted, SaslError
from mailward.protocol.sasl_client import MOST_ITERATIONS, ScramClient, choose
from mailward.protocol.scram import ScramServer, scram_keys

NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"


def begun() -> ScramClient:
    made = ScramClient("user", "pencil", lambda: NONCE)
    made.first()
    return made


def test_rfc_7677_3_the_exchange_of_the_example() -> None:
    client = ScramClient("user", "pencil", lambda: NONCE)
    assert client.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert client.respond(SERVER_FIRST) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert not client.is_done
    assert client.respond(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b""
    assert client.is_done


@pytest.mark.parametrize(
    "server_first",
    [
        SERVER_FIRST.replace(b"r=rOpr", b"r=xOpr"),
        b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        SERVER_FIRST.replace(b"i=4096", b"i=4095"),
        SERVER_FIRST.replace(b"i=4096", b"i=%d" % (MOST_ITERATIONS + 1)),
        SERVER_FIRST.replace(b"i=4096", b"i=99999999999"),
        b"m=x," + SERVER_FIRST,
        b"e=other-error",
        b"",
    ],
)
def test_a_server_that_is_no_sound_one_hears_no_proof(server_first: bytes) -> None:
    with pytest.raises(SaslError):
        begun().respond(server_first)


@pytest.mark.parametrize("server_final", [b"v=" + base64.b64encode(bytes(32)), b"e=invalid-proof", b"", b"v=AA"])
def test_a_server_that_does_not_know_the_password_is_no_success(server_final: bytes) -> None:
    client = begun()
    client.respond(SERVER_FIRST)
    with pytest.raises(SaslError):
        client.respond(server_final)
    assert not client.is_done


@pytest.mark.parametrize(("user", "password"), [("a,b=c@example.org", "p\u00e4ss word"), ("alice", "x" * 200)])
def test_our_own_server_lets_us_in(user: str, password: str) -> None:
    keys = scram_keys(password, b"salt" * 4, 4096)
    assert keys is not None
    client, server = choose({"SCRAM-SHA-256", "PLAIN"}, user, password), ScramServer()
    assert isinstance(client, ScramClient)
    wanted = server.respond(client.first())
    assert isinstance(wanted, SaltWanted) and wanted.name == user
    asked = wanted.salted(b"salt" * 4, 4096)
    assert isinstance(asked, Ask)
    offer = server.respond(client.respond(asked.octets))
    assert isinstance(offer, Offer) and offer.proof is not None and offer.proof.is_of(keys)
    client.respond(server.final() or b"")
    assert client.is_done


def test_the_best_that_is_offered_is_chosen() -> None:
    names = [getattr(choose(offered, "a", "b"), "name", None) for offered in ({"PLAIN", "LOGIN", "X"}, {"LOGIN"}, {"CRAM-MD5"})]
    assert names == ["PLAIN", "LOGIN", None]
    made = choose({"SCRAM-SHA-256", "PLAIN"}, "a", "\u0007")  # what SASLprep forbids goes as it is
    assert made is not None and made.name == "PLAIN" and made.first() == b"\0a\0\x07"
    login = choose({"LOGIN"}, "a", "b")
    assert login is not None and login.first() is None and not login.is_done
    assert (login.respond(b"Username:"), login.respond(b"Password:"), login.is_done) == (b"a", b"b", True)
