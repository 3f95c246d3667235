"""What the server says, as octets (RFC 5804 section 1.2 and 1.7)."""

from mailward.protocol.managesieve.reading import string
from mailward.protocol.managesieve.states import Offers


def spoken(word: str, text: str, code: str = "", argument: bytes | None = None) -> bytes:
    """OK, NO or BYE with its text. code: a response code, without the brackets. argument: of it."""
    octets = word.encode()
    if code:
        octets += b" (%b%b)" % (code.encode(), b"" if argument is None else b" " + string(argument))
    return octets + b" " + string(text.encode()) + b"\r\n"


def capabilities(offers: Offers, owner: str, *, is_secure: bool, offer_tls: bool) -> bytes:
    """What CAPABILITY tells. owner: who has logged in, "" for nobody. is_secure: TLS is on. offer_tls: it can be had."""
    told = [("IMPLEMENTATION", "Mailward"), ("SASL", " ".join(offers.mechanisms) if is_secure else "")]
    told.append(("SIEVE", " ".join(offers.extensions)))
    if offers.notify:
        told.append(("NOTIFY", " ".join(offers.notify)))
    if offers.lists:
        told.append(("EXTLISTS", " ".join(offers.lists)))
    told.append(("MAXREDIRECTS", str(offers.max_redirects)))
    behind = [("OWNER", owner)] if owner else []
    behind.append(("VERSION", "1.0"))
    starttls = b'"STARTTLS"\r\n' if offer_tls else b""
    return b"".join(map(_line, told)) + starttls + b"".join(map(_line, behind))


def _line(capability: tuple[str, str]) -> bytes:
    name, value = capability
    return b"%b %b\r\n" % (string(name.encode()), string(value.encode()))
