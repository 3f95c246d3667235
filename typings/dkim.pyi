from collections.abc import Callable, Sequence
from typing import Protocol

class _Hash(Protocol):
    name: str
    def digest(self) -> bytes: ...

class _Substituter(Protocol):
    def sub(self, replacement: bytes, value: bytes, /) -> bytes: ...

class ValidationError(Exception): ...
class KeyFormatError(Exception): ...
class UnparsableKeyError(Exception): ...

class RelaxedCanonicalization:
    canonicalize_body: Callable[[bytes], bytes]

class DKIM:
    headers: list[tuple[bytes, bytes]]
    body: bytes
    pk: object
    keysize: int
    ktag: bytes
    seqtlsrpt: bool
    minkey: int
    def __init__(self, message: bytes | None = ..., logger: object = ..., minkey: int = ...) -> None: ...
    def verify_sig_process(
        self, sig: dict[bytes, bytes], include_headers: list[bytes], sig_header: tuple[bytes, bytes], dnsfunc: object
    ) -> bool: ...
    def verify(self, idx: int = ..., dnsfunc: Callable[[bytes], bytes] | None = ...) -> bool: ...
    def sign(
        self,
        selector: bytes,
        domain: bytes,
        privkey: bytes,
        signature_algorithm: bytes | None = ...,
        identity: bytes | None = ...,
        canonicalize: tuple[bytes, bytes] = ...,
        include_headers: Sequence[bytes] | None = ...,
        length: bool = ...,
    ) -> bytes: ...

RE_BTAG: _Substituter
parse_public_key: Callable[[bytes], dict[str, object]]
RSASSA_PKCS1_v1_5_verify: Callable[[_Hash, bytes, dict[str, object]], bool]

class CanonicalizationPolicy:
    @classmethod
    def from_c_value(cls, c: bytes | None) -> CanonicalizationPolicy: ...
    def canonicalize_body(self, body: bytes) -> bytes: ...

def sign(
    message: bytes, selector: bytes, domain: bytes, privkey: bytes, *, include_headers: list[bytes] | None = None
) -> bytes: ...
