"""What an admin may set for the client plugin, and the facts it gives to policies."""

from dataclasses import dataclass

from mailward.api import Facts, Settings


@dataclass(frozen=True)
class ClientSettings(Settings):
    """own_names: domains that no stranger may call himself by, beside this server's name; ".example.org" for all below."""

    own_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.own_names:
            if not name.strip(".") or " " in name:
                raise ValueError(f"'{name}' is no domain")


@dataclass(frozen=True)
class ClientFacts(Facts):
    """rdns: the result of iprev, "" where nobody looked. is_generic: the peer's name is made from its address.

    helo: what is wrong with the HELO name: ours, bare_ip, other_ip, not_fqdn, changed.
    """

    rdns: str = ""
    is_generic: bool = False
    helo: tuple[str, ...] = ()
