from collections.abc import Callable, Iterable

EXPLANATIONS: dict[str, str]
DNSLookup: Callable[[str, str, object, float], Iterable[tuple[tuple[str, str], object]]]

class TempError(Exception):
    def __init__(self, msg: str, mech: str | None = ..., ext: object = ...) -> None: ...

class PermError(Exception):
    def __init__(self, msg: str, mech: str | None = ..., ext: object = ...) -> None: ...

class query:  # noqa: N801
    l: str
    o: str
    d: str
    r: str
    s: str
    mechanism: str | None
    def __init__(
        self,
        i: str,
        s: str,
        h: str,
        local: str | None = ...,
        receiver: str | None = ...,
        strict: bool | int = ...,
        timeout: float = ...,
        verbose: bool = ...,
        querytime: float = ...,
    ) -> None: ...
    def check(self, spf: str | None = ...) -> tuple[str, int, str]: ...
    def expand(self, s: str, stripdot: bool = ...) -> str: ...
