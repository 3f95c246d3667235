"""What of dkimpy must be replaced before it may see strangers' mail? Importing this module replaces it, once.

- RSA in Python with keys of any size stops the process for seconds: cryptography instead, sizes and exponents bounded.
- Relaxed body canonicalisation is quadratic in blanks, the removal of b= in blanks and line breaks: neither is here.
"""

import dkim
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

MIN_RSA_BITS = 1024
"""RFC 8301 section 3.2: verifiers must not consider signatures of shorter keys valid."""
MAX_RSA_BITS = 4096
"""RFC 8301 section 3.2: verifiers must be able to validate up to this; more is only good for keeping us busy."""
_MAX_EXPONENT_BITS = 33

_HASHES: dict[str, hashes.HashAlgorithm] = {"sha256": hashes.SHA256()}


def load_rsa_key(der: bytes) -> tuple[rsa.RSAPublicKey, int]:
    """The key in a SubjectPublicKeyInfo or RSAPublicKey, and its size in bits. Raises dkim.UnparsableKeyError."""
    if len(der) > 2 * MAX_RSA_BITS // 8:
        raise dkim.UnparsableKeyError(f"RSA key of {len(der)} octets")
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise dkim.UnparsableKeyError(f"not a usable RSA key ({type(error).__name__})") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise dkim.UnparsableKeyError("not an RSA key")
    numbers = key.public_numbers()
    bits = numbers.n.bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise dkim.UnparsableKeyError(f"RSA key of {bits} bits")
    if numbers.e < 3 or numbers.e % 2 == 0 or numbers.e.bit_length() > _MAX_EXPONENT_BITS:
        raise dkim.UnparsableKeyError("RSA key with an unusable exponent")
    return key, bits


def canonical_body(body: bytes) -> bytes:
    """Relaxed body canonicalisation (RFC 6376 section 3.4.4), in nearly linear time."""
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    body = body.replace(b"\t", b" ")
    while b"  " in body:  # halves every run; a regular expression costs ten times as much on prose
        body = body.replace(b"  ", b" ")
    body = _without_empty_lines(body.replace(b" \r\n", b"\r\n"))
    return b"" if body == b"\r\n" else body


def _without_empty_lines(body: bytes) -> bytes:
    """Without the empty lines at the end; one line end stays."""
    end = len(body.rstrip(b"\r\n"))
    tail = body[end:]
    if tail == b"\r\n" * (len(tail) // 2):
        return body[: end + 2] if tail else body
    while tail.endswith(b"\r\n\r\n"):  # stray CR or LF among the line ends: rare, refused by SMTP, and short
        tail = tail[: tail.rindex(b"\r\n")]
    return body[:end] + tail


class _SignatureTag:
    """Stands in for the compiled expression that empties b=."""

    def sub(self, replacement: bytes, value: bytes, /) -> bytes:
        """The field value with the value of b= and the blanks around it removed (RFC 6376 section 3.7)."""
        specs = value.split(b";")
        for index, spec in enumerate(specs):
            name, equals, _ = spec.partition(b"=")
            if equals and name.strip() == b"b":
                specs[index] = name + equals
        return b";".join(specs)


def _parse_public_key(der: bytes) -> dict[str, object]:
    key, _ = load_rsa_key(der)
    return {"modulus": key.public_numbers().n, "publicExponent": key.public_numbers().e, "key": key}


def _verify(digest: "dkim._Hash", signature: bytes, public_key: dict[str, object]) -> bool:
    key, algorithm = public_key["key"], _HASHES.get(digest.name.lower())
    if not isinstance(key, rsa.RSAPublicKey) or algorithm is None:
        return False
    try:
        key.verify(signature, digest.digest(), padding.PKCS1v15(), utils.Prehashed(algorithm))
    except InvalidSignature:
        return False
    return True


dkim.parse_public_key = _parse_public_key
dkim.RSASSA_PKCS1_v1_5_verify = _verify
dkim.RelaxedCanonicalization.canonicalize_body = staticmethod(canonical_body)
dkim.RE_BTAG = _SignatureTag()
