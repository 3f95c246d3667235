"""Is this message early, and what is to be remembered of it? Pure: what is known goes in, what to keep comes out."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailward_plugins.greylist.settings import GreylistSettings
from mailward_plugins.greylist.table import Entry

REFRESH_S = 3600
"""What is known is written again at most so often, so that most mail costs the table one read."""

MOST_RECIPIENTS = 50
"""Of one message are looked at: who sends to fifty comes back for all of them or for none."""


@dataclass(frozen=True, slots=True)
class Keys:
    """source: who sends. triplets: the source with the reverse-path and one forward-path each."""

    source: str
    triplets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """wait_s: seconds until the message is no longer early, 0 when it is not. reason: for people. keep: what to remember."""

    wait_s: int
    reason: str
    keep: Mapping[str, Entry]


def source_of_mail(peer_ip: str, spf_domain: str) -> str:
    """The domain that SPF vouches for, else the network: /24 of IPv4, /64 of IPv6.

    Large senders try again from another address, often from another network; their domain stays the same.
    """
    if spf_domain:
        return f"domain {spf_domain.lower()}"
    return f"network {ipaddress.ip_network((peer_ip, 64 if ':' in peer_ip else 24), strict=False)}"


def keys_of(source: str, reverse_path: str, forward_paths: Sequence[str]) -> Keys:
    """The keys of a message. Addresses count without case, since some senders change it between two attempts."""
    paths = dict.fromkeys(path.casefold() for path in forward_paths[:MOST_RECIPIENTS])
    return Keys(source, tuple(f"{source}\0{reverse_path.casefold()}\0{path}" for path in paths))


def judge(keys: Keys, known: Mapping[str, Entry], now: int, settings: GreylistSettings) -> Outcome:
    """known: the entries of the table for these keys."""
    delay_s = int(settings.delay.total_seconds())
    source = known.get(keys.source)
    if source is not None and settings.known_after and source.passes >= settings.known_after:
        return Outcome(0, f"{keys.source} has come back often enough", _refreshed({keys.source: source}, now))
    keep: dict[str, Entry] = {}
    waits, came_back = [], 0
    for triplet in keys.triplets:
        entry = known.get(triplet)
        if entry is None:
            keep[triplet] = Entry(now, now)
            waits.append(delay_s)
        elif entry.passes:
            keep |= _refreshed({triplet: entry}, now)
        elif now - entry.first_at < delay_s:
            waits.append(entry.first_at + delay_s - now)
        else:
            keep[triplet] = Entry(entry.first_at, now, 1)
            came_back += 1
    if came_back:
        old = source or Entry(now, now)
        keep[keys.source] = Entry(old.first_at, now, old.passes + came_back)
    if waits:
        first = "for the first time" if max(waits) == delay_s else "again, too early"
        return Outcome(max(waits), f"{keys.source} writes from this sender to this recipient {first}", keep)
    return Outcome(0, f"{keys.source} has come back after the delay" if came_back else "sender and recipient are known", keep)


def _refreshed(entries: Mapping[str, Entry], now: int) -> dict[str, Entry]:
    return {key: Entry(entry.first_at, now, entry.passes) for key, entry in entries.items() if now - entry.last_at >= REFRESH_S}
