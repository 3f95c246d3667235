"""SPF beyond the official suite: hostile records, hostile names, failing DNS, many checks at once."""

import asyncio
import time

import pytest
import spf

from mailward.api import Address, DnsAnswer, RecordType, ReversePath
from mailward_plugins.spf.rules import SpfOutcome, evaluate, is_wide_open
from support.fake_dns import TIMEOUT, FakeDns

NULL = ReversePath(None)


def sender(domain: str, local_part: str = "user") -> ReversePath:
    return ReversePath(Address(local_part, domain))


async def check(zone: dict[str, dict[str, list[str]]], *, ip: str = "192.0.2.1", domain: str = "legit.test") -> SpfOutcome:
    return await evaluate(ip, sender(domain), "mail.legit.test", FakeDns(zone))


def record(text: str, **more: dict[str, list[str]]) -> dict[str, dict[str, list[str]]]:
    return {"legit.test": {"TXT": [text]}, **{name.replace("_", "."): types for name, types in more.items()}}


async def test_t_spf_01_eleventh_lookup_is_permerror_and_questions_are_bounded() -> None:
    zone = {f"i{number}.test": {"TXT": [f"v=spf1 include:i{number + 1}.test -all"]} for number in range(40)}
    dns = FakeDns({**zone, "legit.test": {"TXT": ["v=spf1 include:i0.test -all"]}})
    assert (await evaluate("192.0.2.1", sender("legit.test"), "h.test", dns)).result == "permerror"
    assert len(dns.questions) <= 12


async def test_t_spf_02_third_void_lookup_is_permerror() -> None:
    text = "v=spf1 exists:a.none.test exists:b.none.test exists:c.none.test +all"
    assert (await check(record(text))).result == "permerror"


async def test_t_spf_03_mx_and_ptr_amplification_is_bounded() -> None:
    many = [f"10 m{number}.test" for number in range(50)]
    dns = FakeDns({"legit.test": {"TXT": ["v=spf1 mx -all"], "MX": many}})
    assert (await evaluate("192.0.2.1", sender("legit.test"), "h.test", dns)).result == "permerror"
    assert len(dns.questions) <= 2
    names = [f"p{number}.legit.test" for number in range(50)]
    dns = FakeDns(
        {
            "legit.test": {"TXT": ["v=spf1 ptr -all"]},
            "1.2.0.192.in-addr.arpa": {"PTR": names},
            **{name: {"A": ["192.0.2.99"]} for name in names},
        }
    )
    assert (await evaluate("192.0.2.1", sender("legit.test"), "h.test", dns)).result == "fail"
    assert len(dns.questions) <= 12


@pytest.mark.parametrize("text", ["v=spf1 include:legit.test -all", "v=spf1 redirect=legit.test"])
async def test_t_spf_04_loops_are_permerror(text: str) -> None:
    assert (await check(record(text))).result == "permerror"


@pytest.mark.parametrize("macro", ["%(", "%", "%{z}", "%{d", "%x"])
async def test_t_spf_06_macro_syntax_errors_are_permerror(macro: str) -> None:
    assert (await check(record(f"v=spf1 exists:{macro}.test -all"))).result == "permerror"


async def test_t_spf_06_long_expansions_are_cut_at_dots_to_253_octets() -> None:
    dns = FakeDns({"legit.test": {"TXT": ["v=spf1 exists:%{l}.%{l}.%{l}.%{d} -all"]}})
    local_part = ".".join(["x" * 40] * 6)
    assert (await evaluate("192.0.2.1", sender("legit.test", local_part), "h.test", dns)).result == "fail"
    (asked,) = [name for name, kind in dns.questions if kind == "A"]
    assert 200 < len(asked) <= 253 and asked.endswith(".legit.test") and asked.split(".")[0] == "x" * 40


async def test_t_spf_06_costly_records_are_refused_at_once() -> None:
    started = time.monotonic()
    outcome = await check(record("v=spf1 exists:" + "%{d}." * 12_000 + "test -all"))
    assert outcome.result == "permerror" and "octets" in outcome.problem
    long_local_part = await evaluate(
        "192.0.2.1", sender("legit.test", "a." * 30_000), "h", FakeDns(record("v=spf1 exists:%{lr}.test -all"))
    )
    assert long_local_part.result in ("fail", "permerror")
    assert time.monotonic() - started < 20


async def test_t_spf_07_explanation_is_one_line_of_ascii_and_only_on_fail() -> None:
    text = "bad\r\n250 OK \xe4" + "x" * 70_000
    zone = record("v=spf1 ip4:192.0.2.7 exp=why.test -all", why_test={"TXT": [text]})
    outcome = await check(zone)
    assert outcome.result == "fail" and len(outcome.explanation) <= 200
    assert all(" " <= c <= "~" for c in outcome.explanation)
    assert (await check(zone, ip="192.0.2.7")).explanation == ""


@pytest.mark.parametrize(
    ("records", "result"),
    [
        (["v=spf1 -all", "v=spf1 +all"], "permerror"),
        (["v=spf10 -all"], "none"),
        (["V=SPF1 -all"], "fail"),
        (["v=spf1 Redirect=other.test"], "fail"),
        (["junk", "v=spf1 -all", "other=1"], "fail"),
    ],
)
async def test_t_spf_08_which_record_counts(records: list[str], result: str) -> None:
    assert (await check({"legit.test": {"TXT": records}, "other.test": {"TXT": ["v=spf1 -all"]}})).result == result


@pytest.mark.parametrize(
    "term", ["a:", "ip4:1.2.3", "ip6:::/129", "a/33", "a//129", "redirect=a.test redirect=b.test", "madeup", "ip4:10.0.0.1/8x"]
)
async def test_t_spf_09_syntax_errors_are_permerror(term: str) -> None:
    assert (await check(record(f"v=spf1 {term} -all"))).result == "permerror"


async def test_t_spf_09_unknown_modifiers_are_ignored() -> None:
    assert (await check(record("v=spf1 x-new=1 -all"))).result == "fail"


@pytest.mark.parametrize(
    "helo", ["[1.2.3.4]", "localhost", "", None, "legit'a.evil.test", "a b.test", "x" * 70 + ".test", "a..test"]
)
async def test_t_spf_10_unusable_helo_is_none_without_dns(helo: str | None) -> None:
    dns = FakeDns({})
    outcome = await evaluate("192.0.2.1", NULL, helo, dns)
    assert (outcome.result, outcome.identity, dns.questions) == ("none", "helo", [])


async def test_t_spf_10_null_reverse_path_is_the_helo_identity() -> None:
    outcome = await evaluate("192.0.2.1", NULL, "Mail.Legit.test.", FakeDns({"mail.legit.test": {"TXT": ["v=spf1 -all"]}}))
    assert (outcome.result, outcome.identity, outcome.domain) == ("fail", "helo", "mail.legit.test")


async def test_t_spf_10_an_at_sign_in_the_local_part_names_no_domain() -> None:
    dns = FakeDns({"evil.test": {"TXT": ["v=spf1 +all"]}, "legit.test": {"TXT": ["v=spf1 -all"]}})
    outcome = await evaluate("192.0.2.1", sender("legit.test", "a@evil.test"), "h.test", dns)
    assert (outcome.result, outcome.domain) == ("fail", "legit.test")


async def test_t_spf_11_domain_that_does_not_exist_is_none() -> None:
    assert (await check({}, domain="mailfrom.notexist.legit.test")).result == "none"


@pytest.mark.parametrize(
    ("text", "wide"),
    [
        ("+all", True),
        ("all", True),
        ("ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", True),
        ("?all", False),
        ("ip4:192.0.0.0/8 -all", False),
    ],
)
async def test_t_spf_12_records_for_everybody(text: str, wide: bool) -> None:
    assert is_wide_open(await check(record(f"v=spf1 {text}")), 8) is wide


async def test_t_spf_13_failing_dns_is_temperror_also_in_an_include() -> None:
    assert (await check({"legit.test": {TIMEOUT: []}})).result == "temperror"
    zone = record("v=spf1 include:slow.test -all", slow_test={TIMEOUT: []})
    assert (await check(zone)).result == "temperror"


@pytest.mark.parametrize("ip", ["::ffff:192.0.2.1", "192.0.2.1"])
async def test_t_spf_14_mapped_addresses_are_ipv4(ip: str) -> None:
    assert (await check(record("v=spf1 ip4:192.0.2.1 -all"), ip=ip)).result == "pass"


async def test_scoped_and_bad_addresses_do_not_escape() -> None:
    assert (await check(record("v=spf1 ip6:fe80::/10 -all"), ip="fe80::1%eth0")).result == "pass"
    assert (await check(record("v=spf1 -all"), ip="not an address")).result == "permerror"


class SlowDns:
    """Answers after a while, or never."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s

    async def resolve(self, name: str, record_type: RecordType) -> DnsAnswer:
        await asyncio.sleep(self.delay_s)
        if name.startswith("domain"):
            number = name.removeprefix("domain").partition(".")[0]
            return DnsAnswer("found", (f"v=spf1 include:inc{number}.test -all",))
        number = name.removeprefix("inc").partition(".")[0]
        return DnsAnswer("found", (f"v=spf1 ip4:10.0.{number}.1 exp=x.test -all",))


async def test_many_checks_share_the_loop_and_never_each_other() -> None:
    started = time.monotonic()
    outcomes = await asyncio.gather(
        *(
            evaluate(f"10.0.{number % 2 and number}.1", sender(f"domain{number}.test"), "h.test", SlowDns(0.01))
            for number in range(100)
        )
    )
    assert [outcome.result for outcome in outcomes] == ["pass" if number % 2 or not number else "fail" for number in range(100)]
    assert time.monotonic() - started < 20


async def test_overall_limit_is_temperror_and_leaves_nothing_behind() -> None:
    outcome = await evaluate("192.0.2.1", sender("domain1.test"), "h.test", SlowDns(5), limit_s=0.05)
    assert (outcome.result, outcome.problem) == ("temperror", "not finished in 0.05 s")


def test_dns_of_pyspf_itself_is_out_of_reach() -> None:
    assert spf.query("192.0.2.1", "user@legit.test", "h.test").check()[0] == "temperror"
