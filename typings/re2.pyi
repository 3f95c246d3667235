"""The parts of google-re2 that are used."""

class Options:
    longest_match: bool
    log_errors: bool
    max_mem: int
    case_sensitive: bool
    dot_nl: bool
    never_capture: bool

class _Match:
    def group(self, number: int) -> str | None: ...
    def groups(self) -> tuple[str | None, ...]: ...

class _Regexp:
    groups: int
    programsize: int
    def search(self, text: str) -> _Match | None: ...

class error(Exception): ...

def compile(pattern: str, options: Options | None = ...) -> _Regexp: ...
