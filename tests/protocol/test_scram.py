"""SCRAM-SHA-256 by the example of RFC 7677, against scramp as client and as server, and against who cheats (T-AUTH-08)."""

import base64
import os

import pytest
import scramp
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.model.proof import ScramKeys
from mailward.protocol.sasl import Ask, Offer, SaltWanted, SaslError
from mailward.protocol.scram import ITERATIONS, ScramProof, ScramServer, saslprep, scram_keys

# RFC 7677 section 3
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
NONCE = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
PROOF = b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
CLIENT_FINAL = b"c=biws,r=" + NONCE + b",p=" + PROOF
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def keys(password: str = "pencil", iterations: int = 4096) -> ScramKeys:
    made = scram_keys(password, SALT, iterations)
    assert made is not None
    return made


def begun(first: bytes = CLIENT_FIRST) -> ScramServer:
    """An exchange of the RFC's that waits for the client-final-message."""
    server = ScramServer(lambda: SERVER_NONCE)
    asked(server, first, "user").salted(SALT, 4096)
    return server


def asked(server: ScramServer, first: bytes, name: str) -> SaltWanted:
    """What a client-first-message of this name leads to."""
    step = server.respond(first)
    assert isinstance(step, SaltWanted) and step.name == name
    return step


def reason(server: ScramServer, response: bytes) -> str:
    with pytest.raises(SaslError) as caught:
        server.respond(response)
    return caught.value.reason


def proof_of(step: object) -> ScramProof:
    assert isinstance(step, Offer) and isinstance(step.proof, ScramProof) and step.password is None
    return step.proof


def test_the_example_of_rfc_7677() -> None:
    server = ScramServer(lambda: SERVER_NONCE)
    assert server.respond(None) == Ask(b"")
    assert asked(server, CLIENT_FIRST, "user").salted(SALT, 4096) == Ask(SERVER_FIRST)
    proof = proof_of(server.respond(CLIENT_FINAL))
    assert not proof.is_of(keys("pen"))
    assert proof.is_of(keys())
    assert server.final() == SERVER_FINAL


def test_of_several_secrets_the_right_one_makes_the_servers_proof() -> None:
    server = begun()
    proof = proof_of(server.respond(CLIENT_FINAL))
    assert [proof.is_of(keys(password)) for password in ("a", "pencil", "b")] == [False, True, False]
    assert server.final() == SERVER_FINAL


def test_without_a_right_secret_the_server_proves_nothing() -> None:
    server = begun()
    assert not proof_of(server.respond(CLIENT_FINAL)).is_of(keys("pen"))
    with pytest.raises(SaslError):
        server.final()


def test_keys_show_in_no_repr() -> None:
    made = keys()
    proof = proof_of(begun().respond(CLIENT_FINAL))
    assert repr(made) == "ScramKeys()" and repr(proof) == "ScramProof()"


TEXTS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20)


def prepared(text: str) -> bool:
    try:
        return bool(scramp.core.saslprep(text)) and bool(saslprep(text))
    except scramp.ScramException:
        return False


@settings(max_examples=30, deadline=None)
@given(name=TEXTS.filter(prepared), password=TEXTS.filter(prepared), right=st.booleans())
def test_scramp_as_client(name: str, password: str, right: bool) -> None:
    client = scramp.ScramClient(["SCRAM-SHA-256"], name, password if right else password + "x")
    server = ScramServer()
    wanted = asked(server, client.get_client_first().encode(), scramp.core.saslprep(name))
    client.set_server_first(wanted.salted(SALT, 4096).octets.decode())
    proof = proof_of(server.respond(client.get_client_final().encode()))
    assert proof.is_of(keys(password)) == right
    if right:
        final = server.final()
        assert final is not None
        client.set_server_final(final.decode())


def test_scramp_as_server_takes_our_keys() -> None:
    made = keys("pencil", ITERATIONS)
    server = scramp.ScramMechanism().make_server(lambda _: (SALT, made.stored_key, made.server_key, ITERATIONS))
    client = scramp.ScramClient(["SCRAM-SHA-256"], "user", "pencil")
    server.set_client_first(client.get_client_first())
    client.set_server_first(server.get_server_first())
    server.set_client_final(client.get_client_final())
    client.set_server_final(server.get_server_final())


def test_our_keys_are_scramps() -> None:
    salt, stored_key, server_key, _ = scramp.ScramMechanism().make_auth_info("pencil", iteration_count=4096, salt=SALT)
    assert (salt, ScramKeys(stored_key, server_key)) == (SALT, keys())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("\u0007", None), ("\u0627\u0031", None),
        ("a\u00a0b", "a b"), ("\U0001f600", "\U0001f600"), ("", ""), ("\ud800", None),
    ],
)  # fmt: skip
def test_saslprep_by_the_examples_of_rfc_4013(text: str, wanted: str | None) -> None:
    assert saslprep(text) == wanted


def test_a_password_that_cannot_be_prepared_has_no_keys() -> None:
    assert scram_keys("\u0007", SALT, 4096) is None


# --- T-AUTH-08 ---


@pytest.mark.parametrize(
    "final",
    [
        b"c=biws,r=" + NONCE[:-1] + b",p=" + PROOF,
        b"c=biws,r=" + NONCE + b"x,p=" + PROOF,
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO,p=" + PROOF,
        b"c=eSws,r=" + NONCE + b",p=" + PROOF,
        b"c=bixhPXVzZXIs,r=" + NONCE + b",p=" + PROOF,
    ],
    ids=["nonce cut", "nonce longer", "client's nonce alone", "y instead of n", "authzid added"],
)
def test_t_auth_08_nonce_and_gs2_header_must_be_those_of_the_exchange(final: bytes) -> None:
    assert reason(begun(), final) == "failed"


def test_t_auth_08_a_replayed_proof_meets_another_nonce() -> None:
    server = ScramServer()
    asked(server, CLIENT_FIRST, "user").salted(SALT, 4096)
    assert reason(server, CLIENT_FINAL) == "failed"
    assert len({ScramServer()._own_nonce for _ in range(1000)}) == 1000


@pytest.mark.parametrize("count", [1, 10, 4095, 1_000_000_000])
def test_t_auth_08_the_server_sets_the_iteration_count(count: int) -> None:
    """A client that derives its proof with another count has proved nothing."""
    client = scramp.ScramClient(["SCRAM-SHA-256"], "user", "pencil", c_nonce="rOprNGfwEbeRWgbNEkqO")
    server = ScramServer(lambda: SERVER_NONCE)
    first = asked(server, client.get_client_first().encode(), "user").salted(SALT, 4096).octets
    assert first.endswith(b",i=4096")
    assert reason(server, first.replace(b"i=4096", b"i=%d" % count)) == "malformed"


def test_t_auth_08_channel_binding_is_not_offered() -> None:
    for flag in (b"p=tls-exporter", b"p=tls-server-end-point", b"p=x"):
        assert reason(ScramServer(), flag + b",,n=user,r=abc") == "failed"


def test_t_auth_08_y_is_taken_since_no_plus_is_offered_and_stays_bound() -> None:
    server = begun(b"y,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    assert reason(server, CLIENT_FINAL) == "failed"
    assert isinstance(begun(b"y,,n=user,r=rOprNGfwEbeRWgbNEkqO").respond(b"c=eSws,r=" + NONCE + b",p=" + PROOF), Offer)


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (b"n,,n=a=2Cb=3Dc,r=x", "a,b=c"),
        (b"n,a=user,n=user,r=x", "user"),
        (b"n,a=User,n=user,r=x", "user"),
        (b"n,,n=user,r=x,t=extension", "user"),
        ("n,,n=üser,r=x".encode(), "üser"),
    ],
)
def test_names_and_extensions(first: bytes, name: str) -> None:
    asked(ScramServer(), first, name)


def test_somebody_elses_account_is_refused() -> None:
    assert reason(ScramServer(), b"n,a=admin,n=user,r=x") == "failed"


@pytest.mark.parametrize(
    "first",
    [
        b"", b"n", b"n,,", b"n,,n=,r=x", b"n,,n=user", b"n,,n=user,r=", b"n,,n=user,r=a b", b"n,,n=a=b,r=x", b"n,,n=a=2cb,r=x",
        b"n,,m=ext,n=user,r=x", b"n,,n=\xff,r=x", b"n,,n=a\0b,r=x", b"z,,n=user,r=x", b"n,user,n=user,r=x", b"N,,n=user,r=x",
        b"n,,n=user,r=x,", b"n,,n=user,r=\xc3\xbc", b"p=,,n=user,r=x", b"n,a=,n=user,r=x", b"n,,r=x,n=user",
    ],
)  # fmt: skip
def test_t_auth_06_what_is_no_client_first_message(first: bytes) -> None:
    assert reason(ScramServer(), first) == "malformed"


@pytest.mark.parametrize(
    "final",
    [
        b"", b"c=biws,r=" + NONCE, b"r=" + NONCE + b",c=biws,p=" + PROOF, b"c=biws,r=" + NONCE + b",p=", b"c=biws,r=" + NONCE + b",p=AAAA",
        b"c=biws,r=" + NONCE + b",p=!", b"c=b,r=" + NONCE + b",p=" + PROOF, b"c=biws,r=" + NONCE + b",p=" + PROOF + b",x=y", b"c=biws,r=,p=" + PROOF,
    ],
)  # fmt: skip
def test_t_auth_06_what_is_no_client_final_message(final: bytes) -> None:
    assert reason(begun(), final) == "malformed"


def test_any_change_of_a_proof_spoils_it() -> None:
    for place in range(32):
        octets = bytearray(base64.b64decode(PROOF))
        octets[place] ^= 1 << (os.urandom(1)[0] % 8)
        proof = proof_of(begun().respond(b"c=biws,r=" + NONCE + b",p=" + base64.b64encode(octets)))
        assert not proof.is_of(keys())
