"""The resolver against real name servers (nsd behind a validating unbound)."""

import asyncio
import socket
from typing import cast

import pytest

from mailward.api import DnsAnswer, DnsTemporaryError, RecordType
from mailward.services.resolver import DnsResolver
from support.dns_server import DnsServer

RECORDS = """
@ IN MX 10 mx
@ IN TXT "v=spf1 " "a -all"
@ IN TXT "second"
mx IN A 192.0.2.1
mx IN A 192.0.2.2
mx IN AAAA 2001:db8::1
alias IN CNAME mx
alias2 IN CNAME alias
lost IN CNAME nowhere
loop1 IN CNAME loop2
loop2 IN CNAME loop1
bytes IN TXT "caf\\233"
short 0 IN A 192.0.2.9
"""


@pytest.fixture(scope="module")
def world(dns_server: DnsServer) -> DnsServer:
    dns_server.publish("plain.test", RECORDS + "".join(f'big IN TXT "{number} {"x" * 200}"\n' for number in range(30)))
    dns_server.publish("signed.test", RECORDS, signed=True)
    dns_server.publish("2.0.192.in-addr.arpa", "1 IN PTR mx.plain.test.\n")
    return dns_server


@pytest.fixture
def resolver(world: DnsServer) -> DnsResolver:
    return DnsResolver([world.address], 5.0)


@pytest.mark.parametrize(
    ("name", "record_type", "records"),
    [
        ("plain.test", "MX", {"10 mx.plain.test"}),
        ("plain.test", "TXT", {"v=spf1 a -all", "second"}),
        ("PLAIN.test.", "TXT", {"v=spf1 a -all", "second"}),
        ("mx.plain.test", "A", {"192.0.2.1", "192.0.2.2"}),
        ("mx.plain.test", "AAAA", {"2001:db8::1"}),
        ("alias2.plain.test", "A", {"192.0.2.1", "192.0.2.2"}),
        ("alias.plain.test", "CNAME", {"mx.plain.test"}),
        ("1.2.0.192.in-addr.arpa", "PTR", {"mx.plain.test"}),
        ("bytes.plain.test", "TXT", {"caf\xe9"}),
    ],
)
async def test_records_come_in_the_form_the_api_promises(
    resolver: DnsResolver, name: str, record_type: RecordType, records: set[str]
) -> None:
    answer = await resolver.resolve(name, record_type)
    assert (answer.status, set(answer.records), answer.authenticated) == ("found", records, False)


async def test_truncated_answers_are_fetched_over_tcp(resolver: DnsResolver) -> None:
    assert len((await resolver.resolve("big.plain.test", "TXT")).records) == 30


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("none.plain.test", "nxdomain"),
        ("lost.plain.test", "nxdomain"),
        ("mx.plain.test", "nodata"),
        ("a..plain.test", "nxdomain"),
        ("", "nxdomain"),
        ("x" * 64 + ".plain.test", "nxdomain"),
        (".".join(["x" * 60] * 5), "nxdomain"),
        ("b\xfccher.test", "nxdomain"),
        ("odd\\name(.plain.test", "nxdomain"),
        ("nul\x00.plain.test", "nxdomain"),
    ],
)
async def test_names_without_records_and_names_that_cannot_exist(resolver: DnsResolver, name: str, status: str) -> None:
    answer = await resolver.resolve(name, "TXT")
    assert (answer.status, answer.records) == (status, ())


async def test_validated_answers_are_authenticated(resolver: DnsResolver) -> None:
    assert (await resolver.resolve("mx.signed.test", "A")).authenticated
    assert (await resolver.resolve("none.signed.test", "A")) == DnsAnswer("nxdomain", (), True)
    assert not (await resolver.resolve("mx.plain.test", "A")).authenticated


async def test_bogus_signatures_are_temporary(resolver: DnsResolver) -> None:
    with pytest.raises(DnsTemporaryError, match="SERVFAIL"):
        await resolver.resolve("bogus.test", "TXT")


async def test_t_spf_05_cname_loop_ends(resolver: DnsResolver) -> None:
    try:
        answer = await resolver.resolve("loop1.plain.test", "A")
    except DnsTemporaryError:
        return
    assert answer.records == ()


async def test_silent_servers_are_temporary_within_the_limit(world: DnsServer) -> None:
    resolver = DnsResolver([world.address], 0.4)
    started = asyncio.get_running_loop().time()
    with pytest.raises(DnsTemporaryError):
        await resolver.resolve("www.silent.test", "A")
    assert asyncio.get_running_loop().time() - started < 2


async def test_the_next_server_is_asked_when_one_is_dead(world: DnsServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
        dead.bind(("127.0.0.1", 0))
        port = dead.getsockname()[1]
    assert (await DnsResolver([("127.0.0.1", port), world.address], 1.0).resolve("mx.plain.test", "A")).status == "found"


async def test_without_servers_every_question_is_temporary() -> None:
    with pytest.raises(DnsTemporaryError, match="configured"):
        await DnsResolver([]).resolve("example.org", "A")


class _CountingRelay(asyncio.DatagramProtocol):
    """Passes datagrams on to a real server and counts the questions."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target, self.questions = target, 0
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.questions += 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.settimeout(5)
            out.sendto(data, self.target)
            answer = out.recv(65535)
        self.transport.sendto(answer, addr)


async def test_cache_ttl_merging_and_clear(world: DnsServer) -> None:
    transport, relay = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _CountingRelay(world.address), local_addr=("127.0.0.1", 0)
    )
    resolver = DnsResolver([transport.get_extra_info("sockname")], cache_entries=2)
    try:
        answers = await asyncio.gather(*(resolver.resolve("mx.plain.test", "A") for _ in range(20)))
        assert relay.questions == 1 and len(set(answers)) == 1
        impatient = asyncio.create_task(resolver.resolve("alias.plain.test", "A"))
        patient = asyncio.create_task(resolver.resolve("alias.plain.test", "A"))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).status == "found" and relay.questions == 2
        for _ in range(2):
            await resolver.resolve("mx.plain.test", "A")
        assert relay.questions == 2
        for _ in range(2):
            await resolver.resolve("short.plain.test", "A")  # TTL 0: never kept
        assert relay.questions == 4
        for _ in range(2):
            await resolver.resolve("none.plain.test", "A")  # negative answers are kept (RFC 2308)
        assert relay.questions == 5
        await resolver.resolve("mx.plain.test", "A")
        await resolver.resolve("mx.plain.test", "AAAA")
        before = relay.questions
        await resolver.resolve("none.plain.test", "A")  # pushed out: two entries at most
        assert relay.questions == before + 1
        resolver.clear()
        await resolver.resolve("none.plain.test", "A")
        assert relay.questions == before + 2
    finally:
        transport.close()
