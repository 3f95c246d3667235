from collections.abc import Sequence

class AuthResError(Exception): ...
class SyntaxError(AuthResError): ...

class QuotableValue(str):
    def quote_if_needed(self) -> str: ...

class AuthenticationResultProperty:
    type: str
    name: str
    value: str | None
    comment: str | None
    def __init__(self, type: str, name: str, value: str | None = ..., comment: str | None = ...) -> None: ...

class AuthenticationResult:
    method: str
    result: str
    reason: str | None
    result_comment: str | None
    properties: list[AuthenticationResultProperty]
    def __init__(
        self,
        method: str,
        version: str | None = ...,
        result: str = ...,
        result_comment: str | None = ...,
        reason: str | None = ...,
        reason_comment: str | None = ...,
        properties: Sequence[AuthenticationResultProperty] | None = ...,
    ) -> None: ...

class AuthenticationResultsHeader:
    authserv_id: str | None
    version: str | None
    results: list[AuthenticationResult]
    def __init__(
        self,
        authserv_id: str | None = ...,
        authserv_id_comment: str | None = ...,
        version: str | None = ...,
        version_comment: str | None = ...,
        results: Sequence[AuthenticationResult] | None = ...,
        strict: bool = ...,
    ) -> None: ...
    def header_value(self) -> str: ...
    @classmethod
    def parse(cls, string: str) -> AuthenticationResultsHeader: ...
    @classmethod
    def parse_value(cls, string: str) -> AuthenticationResultsHeader: ...

class FeatureContext:
    def parse(self, string: str) -> AuthenticationResultsHeader: ...
    def parse_value(self, string: str) -> AuthenticationResultsHeader: ...

def all_features() -> FeatureContext: ...
