"""What is odd about a name? Pure functions of the name and the address it comes from."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Problem:
    """word: as in `ClientFacts.helo`. text: for people."""

    word: str
    text: str


def problems_of(name: str, former: str | None, peer_ip: str, own_names: Iterable[str]) -> list[Problem]:
    """What is wrong with this HELO name of a peer. former: another it gave before."""
    found = []
    plain = name.rstrip(".").lower()
    if any(_is_named(plain, own) for own in own_names):
        found.append(Problem("ours", f"it says it is {name}, which is a name of ours"))
    found += _of_form(name, plain, peer_ip)
    if former is not None and former.rstrip(".").lower() != plain:
        found.append(Problem("changed", f"it said it was {former}, then {name}"))
    return found


def _of_form(name: str, plain: str, peer_ip: str) -> list[Problem]:
    if _address(plain) is not None:
        return [Problem("bare_ip", f"{name} is an address without the brackets of RFC 5321 section 4.1.3")]
    if name.startswith("[") and name.endswith("]"):
        inner = name[1:-1]
        given = _address(inner[5:] if inner[:5].lower() == "ipv6:" else inner)
        if given is None:
            return [Problem("not_fqdn", f"{name} is no address literal")]
        return [] if given == _address(peer_ip) else [Problem("other_ip", f"{name} is not its address")]
    labels = plain.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        return [Problem("not_fqdn", f"{name} is no full host name")]
    return []


def is_generic(name: str, ip: str) -> bool:
    """Does the name hold the address: 203-0-113-7.pool.example, host-7-113-0-203.example, cb007107.example?"""
    address = _address(ip)
    host = name.lower().rpartition(".")[0]
    if address is None:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return _holds_groups(host, [f"{int(group, 16):x}" for group in address.exploded.split(":")], 3)
    octets = str(address).split(".")
    return f"{int(address):08x}" in host or "".join(f"{int(o):03}" for o in octets) in host or _holds_groups(host, octets, 4)


def _holds_groups(host: str, groups: list[str], least: int) -> bool:
    """Stand the last `least` groups in the name, in either order?"""
    words = [word.lstrip("0") or "0" for word in re.findall(r"[0-9a-f]+" if least == 3 else r"\d+", host)]
    wanted = groups[-least:]
    windows = [words[start : start + least] for start in range(len(words) - least + 1)]
    return wanted in windows or wanted[::-1] in windows


def _is_named(name: str, own: str) -> bool:
    own = own.rstrip(".").lower()
    return bool(own) and (name.endswith(own) if own.startswith(".") else name == own)


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
