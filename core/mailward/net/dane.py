"""Does a server's certificate chain fit the TLSA records of its host (RFC 7671, RFC 7672 section 3), or would authorities do?

Only usages 2 and 3 come here, since a mail server's TLSA records of usages 0 and 1 are not usable (RFC 7672 section 3.1.3).
"""

import hashlib
import warnings
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from mailward.model.tls import Tlsa, TlsResult

MOST_CERTIFICATES = 20
"""Of a chain are looked at."""


class NotProven(Exception):
    """Says why the chain fits none of the records, and how a TLS report calls that."""

    def __init__(self, text: str, result: TlsResult) -> None:
        super().__init__(text)
        self.result = result


def prove(chain: Sequence[bytes], records: Sequence[Tlsa], names: Sequence[str], at: datetime) -> Tlsa:
    """The record that the chain fits. chain: in DER, the server's own certificate first. names: any of them must be in the
    certificate where usage 2 is to prove it. Raises NotProven.
    """
    certificates = _read(chain[:MOST_CERTIFICATES])
    leaf = certificates[0]
    # RFC 7671 section 5.1: neither names nor dates of a certificate count that is itself in DNS.
    for record in records:
        if record.usage == 3 and _is(leaf, record):
            return record
    problem = NotProven("its certificate is none of those in the TLSA records", TlsResult.CERTIFICATE_NOT_TRUSTED)
    for record in records:
        for anchor in _anchors(record, certificates):
            try:
                _prove_path(leaf, certificates[1:], [anchor], names, at, "the authority in the TLSA records does not vouch")
            except NotProven as error:
                problem = error
            else:
                return record
    raise problem


_UNPROVEN = {
    TlsResult.CERTIFICATE_EXPIRED: "its certificate has expired",
    TlsResult.CERTIFICATE_NOT_TRUSTED: "no authority that is trusted here vouches for its certificate",
}


def why_unproven(chain: Sequence[bytes], authorities: Sequence[x509.Certificate], names: Sequence[str], at: datetime) -> str:
    """Why a connection that wants proof by these authorities would have failed, "" when it would not. chain, names: as above."""
    try:
        leaf, *others = _read(chain[:MOST_CERTIFICATES])
        _prove_path(leaf, others, authorities, names, at, "no authority that is trusted here vouches")
    except NotProven as error:
        return _UNPROVEN.get(error.result, str(error))
    except Exception as error:  # noqa: BLE001  nobody asked for proof, so mail must not wait for what a stranger made of X.509
        return f"its certificate cannot be read: {type(error).__name__}"
    return ""


def authorities_of(certificates: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    """Of certificates in DER those that can be read; some old ones keep to no rule that is newer than they."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return tuple(certificate for der in certificates if (certificate := _certificate(der)) is not None)


def _certificate(der: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        return None


def _read(chain: Sequence[bytes]) -> list[x509.Certificate]:
    try:
        leaf = x509.load_der_x509_certificate(chain[0])
    except (ValueError, IndexError):
        raise NotProven("its certificate cannot be read", TlsResult.CERTIFICATE_NOT_TRUSTED) from None
    return [leaf, *(other for der in chain[1:] if (other := _certificate(der)) is not None)]


def _is(certificate: x509.Certificate, record: Tlsa) -> bool:
    """RFC 6698 section 2.1: the selected part of the certificate, or its digest."""
    try:
        if record.selector == 0:
            octets = certificate.public_bytes(Encoding.DER)
        else:
            octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError:  # a key of a kind nobody knows
        return False
    match record.matching:
        case 0:
            return octets == record.data
        case 1:
            return hashlib.sha256(octets).digest() == record.data
        case 2:
            return hashlib.sha512(octets).digest() == record.data
    return False


def _anchors(record: Tlsa, certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The authorities that a record of usage 2 names: in the chain, or whole in the record itself (RFC 7672 section 3.1.2)."""
    if record.usage != 2:
        return []
    if record.selector == 0 and record.matching == 0:
        try:
            return [x509.load_der_x509_certificate(record.data)]
        except ValueError:
            return []
    return [certificate for certificate in certificates[1:] if _is(certificate, record)]


_ANY = ExtensionPolicy.permit_all()
_AUTHORITY = _ANY.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
_SERVER = _ANY.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
"""An authority of one's own keeps to the rules of signatures and dates, seldom to the rules of browsers."""


def _prove_path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    names: Sequence[str],
    at: datetime,
    nobody: str,
) -> None:
    """nobody: who does not vouch for the certificate, with the verb."""
    if not anchors:
        raise NotProven(f"{nobody} for its certificate", TlsResult.CERTIFICATE_NOT_TRUSTED)
    policy = PolicyBuilder().store(Store(list(anchors))).time(at).extension_policies(ca_policy=_AUTHORITY, ee_policy=_SERVER)
    try:
        policy.build_client_verifier().verify(leaf, list(others))
    except VerificationError as error:
        is_old = not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc
        result = TlsResult.CERTIFICATE_EXPIRED if is_old else TlsResult.CERTIFICATE_NOT_TRUSTED
        raise NotProven(f"{nobody} for its certificate: {error}", result) from None
    for name in names:
        try:
            policy.build_server_verifier(x509.DNSName(name)).verify(leaf, list(others))
        except (VerificationError, ValueError):
            continue
        return
    raise NotProven(f"its certificate does not name {' or '.join(names)}", TlsResult.CERTIFICATE_HOST_MISMATCH)
