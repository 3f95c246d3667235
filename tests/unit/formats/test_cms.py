"""What is taken out of an opaquely signed S/MIME object (RFC 5652), whatever its lengths look like."""

import datetime
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from mailward.formats.cms import Cms, is_cms, read_cms
from support.ber import DATA, SIGNED, open_ended, signed, value

CONTENT = b"Content-Type: text/plain\r\n\r\nsigned\r\n"


@pytest.fixture(scope="module")
def signer() -> pkcs7.PKCS7SignatureBuilder:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return pkcs7.PKCS7SignatureBuilder().add_signer(certificate, key, hashes.SHA256())


def test_t_mime_29_the_content_of_an_opaque_signature_comes_out(signer: pkcs7.PKCS7SignatureBuilder) -> None:
    made = signer.set_data(CONTENT).sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    assert read_cms(made) == Cms("signed", CONTENT)


def test_a_detached_signature_has_no_content(signer: pkcs7.PKCS7SignatureBuilder) -> None:
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    assert read_cms(signer.set_data(CONTENT).sign(serialization.Encoding.DER, options)) == Cms("signed")


@pytest.mark.parametrize("wrap", [value, open_ended])
def test_content_in_pieces_and_lengths_of_both_kinds(wrap) -> None:  # type: ignore[no-untyped-def]
    pieces = wrap(0x24, b"".join(value(0x04, CONTENT[at : at + 7]) for at in range(0, len(CONTENT), 7)))
    info = wrap(0x30, DATA + wrap(0xA0, pieces))
    data = wrap(0x30, b"\x02\x01\x01" + wrap(0x31, b"") + info + wrap(0x31, b""))
    assert read_cms(wrap(0x30, SIGNED + wrap(0xA0, data))) == Cms("signed", CONTENT)


def test_encrypted_objects_are_called_so() -> None:
    assert read_cms(value(0x30, bytes.fromhex("06092a864886f70d010703") + value(0xA0, b""))).kind == "encrypted"
    assert read_cms(value(0x30, bytes.fromhex("060b2a864886f70d0109100117") + value(0xA0, b""))).kind == "encrypted"


@pytest.mark.parametrize("octets", [b"", b"\x30", b"\x30\x80", b"\x30\xff" + b"\xff" * 20, b"\x30\x85", b"hello", b"\x1f" * 9])
def test_what_is_no_cms_has_no_content(octets: bytes) -> None:
    assert read_cms(octets) == Cms("other")


def test_t_mime_29_a_cut_off_object_gives_what_is_there(signer: pkcs7.PKCS7SignatureBuilder) -> None:
    made = signer.set_data(CONTENT).sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    for end in range(len(made)):
        assert CONTENT.startswith(read_cms(made[:end]).content)


def test_t_mime_29_deep_nesting_costs_no_more_than_its_size() -> None:
    def seconds(depth: int) -> float:
        octets = value(0x30, SIGNED + value(0xA0, value(0x30, value(0x30, DATA + value(0xA0, b"\x24\x80" * depth)))))
        started = time.process_time()
        assert read_cms(octets).kind == "signed"
        return time.process_time() - started

    seconds(1000)
    assert seconds(200_000) < 20 * max(seconds(20_000), 0.005)


def test_t_mime_29_content_in_too_many_pieces_is_said_to_be_cut() -> None:
    many = signed(value(0x24, b"\x04\x00" * 100_001 + value(0x04, CONTENT)))
    assert read_cms(many) == Cms("signed", b"", is_cut=True)
    assert read_cms(signed(value(0x24, value(0x04, CONTENT[:5]) + value(0x04, CONTENT[5:])))) == Cms("signed", CONTENT)


def test_t_mime_29_what_is_compressed_was_not_read() -> None:
    compressed = value(0x30, bytes.fromhex("060b2a864886f70d0109100109") + value(0xA0, value(0x30, b"\x02\x01\x00")))
    assert read_cms(compressed) == Cms("compressed", is_cut=True)


def test_t_mime_23_it_is_known_by_how_it_begins() -> None:
    assert is_cms(signed(value(0x04, CONTENT))[:96]) and is_cms(open_ended(0x30, SIGNED + value(0xA0, b"")))
    assert not is_cms(value(0x30, DATA)) and not is_cms(b"0 is how this text begins") and not is_cms(b"")
