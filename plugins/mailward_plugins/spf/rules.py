"""Is this client authorised by the domain of the reverse-path? (RFC 7208, by pyspf over our resolver)"""

import asyncio
import re
from dataclasses import dataclass

import spf

from mailward.api import Resolver, ReversePath, normal_ip
from mailward_plugins.spf.bridge import spf_check

_RESULTS = frozenset({"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"})
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_ALL = re.compile(r"\+?all")
_NETWORK = re.compile(r"\+?ip[46]:.*/([0-9]+)", re.IGNORECASE)
_MACRO = re.compile(r"%(?:[%_-]|\{[A-Za-z][0-9]*[rR]?[.+,/_=-]*\})")
_NAME_LIMIT_OCTETS = 253
_EXPLANATION_LIMIT = 200


@dataclass(frozen=True, slots=True)
class SpfOutcome:
    """result: an RFC 8601 word. identity: "mailfrom" or "helo" (null reverse-path); domain: what was evaluated, "" for none.

    mechanism: the term of the record that matched, "" when none did. explanation: the domain's own words on a fail,
    one line of printable ASCII. problem: what went wrong, for temperror and permerror.
    """

    result: str
    identity: str = "mailfrom"
    domain: str = ""
    mechanism: str = ""
    explanation: str = ""
    problem: str = ""


class _Query(spf.query):
    """pyspf's query with two gaps of its macro expansion closed."""

    def expand(self, s: str, stripdot: bool = True) -> str:
        """RFC 7208 section 7: a "%" that begins no macro is an error, also in "%{d"; names are cut on the left to 253 octets."""
        if "%" in _MACRO.sub("", s):
            raise spf.PermError("macro syntax error")
        expanded = super().expand(s, stripdot)
        if not stripdot or len(expanded) <= _NAME_LIMIT_OCTETS:
            return expanded
        dot = expanded.find(".", len(expanded) - _NAME_LIMIT_OCTETS - 1)
        return expanded[dot + 1 :]


async def evaluate(
    peer_ip: str,
    reverse_path: ReversePath,
    helo: str | None,
    resolver: Resolver,
    *,
    receiver: str = "unknown",
    limit_s: float = 20.0,
) -> SpfOutcome:
    """check_host() for the MAIL FROM identity, or for HELO when the reverse-path is null (RFC 7208 section 2.4). Never raises."""
    address = reverse_path.address
    identity = "helo" if address is None else "mailfrom"
    domain = (helo or "" if address is None else address.domain).removesuffix(".").lower()
    if not _is_fqdn(domain):
        return SpfOutcome("none", identity, problem="there is no domain to ask")  # section 4.3
    local_part = (address.local_part if address is not None else "") or "postmaster"
    try:
        query = _Query(normal_ip(peer_ip), f"{local_part}@{domain}", helo or "", receiver=receiver, querytime=0)
        # pyspf splits at the first "@", which may be part of a quoted local-part and name another domain.
        query.l, query.o, query.d = local_part, domain, domain
        async with asyncio.timeout(limit_s):
            result, _, text = await spf_check(query.check, resolver)
    except TimeoutError:
        return SpfOutcome("temperror", identity, domain, problem=f"not finished in {limit_s:g} s")
    except spf.TempError as error:
        return SpfOutcome("temperror", identity, domain, problem=_plain(str(error)))
    except Exception as error:  # noqa: BLE001 - pyspf leaks many kinds (bad addresses, assertions): none of them means fail
        return SpfOutcome("permerror", identity, domain, problem=_plain(f"{type(error).__name__}: {error}"))
    if result not in _RESULTS:
        return SpfOutcome("permerror", identity, domain, problem=f"result {_plain(result)}")
    if result in ("temperror", "permerror"):
        return SpfOutcome(result, identity, domain, problem=_plain(text.partition(": ")[2] or text))
    explanation = _plain(text) if result == "fail" and text != spf.EXPLANATIONS["fail"] else ""
    return SpfOutcome(result, identity, domain, _plain(query.mechanism or ""), explanation)


def is_wide_open(outcome: SpfOutcome, wide_open_bits: int) -> bool:
    """Whether the pass says nothing, because the record lets in everybody: +all, or a network of very few prefix bits."""
    mechanism = outcome.mechanism.lower()
    network = _NETWORK.fullmatch(mechanism)
    if network is not None:
        bits = int(network[1])
        return bits < (wide_open_bits if "ip4" in mechanism else wide_open_bits * 4)
    return outcome.result == "pass" and _ALL.fullmatch(mechanism) is not None


def _is_fqdn(domain: str) -> bool:
    """Two labels or more, of characters that names have; so no address literal, no single label, nothing injected."""
    labels = domain.split(".")
    return len(labels) >= 2 and len(domain) <= _NAME_LIMIT_OCTETS and all(_LABEL.fullmatch(label) for label in labels)


def _plain(text: str) -> str:
    """One line of printable ASCII of bounded length: this text is written by strangers (section 6.2)."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:_EXPLANATION_LIMIT])
