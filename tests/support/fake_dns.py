"""DNS from a mapping, for corpora that state their own answers; follows CNAMEs and can fail as name servers do."""

from collections.abc import Mapping, Sequence

from mailward.api import DnsAnswer, DnsTemporaryError, RecordType

TIMEOUT = "TIMEOUT"
"""As a type of a name: every type that is not listed there gets no answer."""


class FakeDns:
    """zone: name in lower case -> type -> records in the form of `DnsAnswer.records`. Counts its questions."""

    def __init__(self, zone: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self._zone = {name.lower().removesuffix("."): types for name, types in zone.items()}
        self.questions: list[tuple[str, str]] = []

    async def resolve(self, name: str, record_type: RecordType) -> DnsAnswer:
        self.questions.append((name, record_type))
        name = name.lower().removesuffix(".")
        labels = name.split(".")
        if len(name) > 253 or any(not 0 < len(label) < 64 for label in labels):
            return DnsAnswer("nxdomain")
        for _ in range(8):
            types = self._zone.get(name)
            if types is None:
                above = any(other.endswith("." + name) for other in self._zone)
                return DnsAnswer("nodata" if above else "nxdomain")
            if record_type in types:
                return DnsAnswer("found", tuple(types[record_type]))
            if TIMEOUT in types:
                break
            if "CNAME" not in types:
                return DnsAnswer("nodata")
            name = types["CNAME"][0].lower()
        raise DnsTemporaryError(f"{name} {record_type}: no answer")
