"""Which hosts DNS is asked about for DANE."""

from mailward.api import DnsAnswer, DnsTemporaryError, MailHost, TlsLevel
from mailward_plugins.encryption.dane import dane_requirement


class Silent:
    """Name servers that do not answer."""

    async def resolve(self, name: str, kind: str) -> DnsAnswer:
        raise DnsTemporaryError(f"{name} {kind}: no answer")


async def test_a_host_that_is_an_address_needs_no_answer() -> None:
    for address in ("192.0.2.7", "2001:db8::7"):
        requirement = await dane_requirement(MailHost(address, 25, True, True), "far.example", Silent())
        assert requirement.level is TlsLevel.OPPORTUNISTIC and not requirement.is_barred
    named = await dane_requirement(MailHost("mx.far.example", 25, True, True), "far.example", Silent())
    assert named.is_barred
