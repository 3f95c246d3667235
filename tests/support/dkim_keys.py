"""Keys of signing domains for tests: made once, written as the secret files that the dkim plugin reads."""

from base64 import b64decode
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

RFC_8463_SEED = b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
"""RFC 8463 appendix A.2."""


@cache
def rsa_pem(bits: int = 2048, number: int = 0) -> bytes:
    """number: for several keys of one size."""
    return pem(rsa.generate_private_key(65537, bits))


def ed25519_pem(seed: bytes = RFC_8463_SEED) -> bytes:
    return pem(ed25519.Ed25519PrivateKey.from_private_bytes(seed))


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_key(folder: Path, name: str, octets: bytes) -> Path:
    """A secret file below the folder, closed to others."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(octets)
    path.chmod(0o600)
    return path
