"""Who is this, without saying who: words, names, domains and addresses replaced by made-up ones, the same ones each time.

What filters go by is kept: the length of a word and its capitals, which domain is below which, which address lies in which
network.
A key makes the replacement; without it nobody can try whether a guess is right.
"""

import hmac
import ipaddress
import re
from collections.abc import Container, Iterable
from hashlib import blake2b

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SUFFIX = "example"
"""Every made-up domain ends so: nobody's (RFC 2606 section 2)."""

_KEPT_LABELS = frozenset({"com", "net", "org", "co", "ac", "gov", "edu", "arpa", "in-addr", "ip6", "mail", "mx", "smtp", "www"})
"""Of many domains, so that they say nothing about one."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORD = re.compile(r"[^\W_]+")
_IPV4 = r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w:])"
_IPV6 = r"(?:(?<=ip6:)|(?<=IPv6:)|(?<![\w.:]))(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])"
_DOMAIN = r"(?<![\w.-])[\w-]+(?:\.[\w-]+)*\.(?:[^\W\d_][\w-]*)(?![\w-])"
_MAILBOX = r"[\w!#$%&'*+/=?^`{|}~.-]+@[\w.-]*\w"
_TOKEN = re.compile(rf"(?P<mailbox>{_MAILBOX})|(?P<ip>{_IPV6}|{_IPV4})|(?P<domain>{_DOMAIN})")
_KEPT_BITS = {4: 8, 6: 16}
"""So many leading bits of an address stay: enough to tell what kind it is, too few to tell whose."""


class Pseudonyms:
    """key: secret; the same one gives the same names. addresses: those that will be met, so that none becomes special."""

    def __init__(self, key: bytes, addresses: Iterable[str] = ()) -> None:
        known = [ipaddress.ip_address(text) for text in addresses]
        # A public address must not become a private one by chance: filters ask about those differently.
        for number in range(256):
            self._key = blake2b(key + bytes([number]), digest_size=32).digest()
            if all(self._moved(ip).is_global for ip in known if ip.is_global):
                break
        self._met = {str(ip) for ip in known}

    def word(self, word: str) -> str:
        """A word or number of the same length and capitals, each time the same; letters beyond ASCII become ASCII ones."""
        digest = self._digest(b"word", word.lower())
        made = []
        for place, character in enumerate(word):
            octet = digest[place % len(digest)] + place // len(digest)
            if character.isdigit():
                made.append(str(octet % 10))
            else:
                letter = _LETTERS[octet % 26]
                made.append(letter.upper() if character.isupper() else letter)
        return "".join(made)

    def words(self, text: str) -> str:
        """A text with all its words replaced; everything between them stays."""
        return _WORD.sub(lambda found: self.word(found[0]), text)

    def domain(self, name: str) -> str:
        """A domain name: label by label, so that what is below another stays below it; an address in it as an address."""
        labels = name.rstrip(".").split(".")
        head, labels = self._address_labels(labels)
        *others, top = labels or [""]
        made = [self.label(label) for label in others]
        tail = [top.lower(), SUFFIX] if top.lower() != "arpa" else [top.lower()]
        return ".".join([*head, *made, *tail]) + "." * name.endswith(".")

    def mailbox(self, address: str) -> str:
        """local-part@domain; an address literal as an address."""
        local_part, at, domain = address.rpartition("@")
        return self.words(local_part) + at + (self.structure(domain) if domain.startswith("[") else self.domain(domain))

    def ip(self, text: str) -> str:
        """An IP address; those of one network stay in one, private ones stay as they are. What is none comes back as it is."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return text
        self._met.add(str(address))
        return str(self._moved(address))

    def structure(self, text: str) -> str:
        """A text of a known form, such as Received or an SPF record: mailboxes, domains and addresses in it, and nothing else."""

        def made(found: re.Match[str]) -> str:
            kind = found.lastgroup
            return self.mailbox(found[0]) if kind == "mailbox" else self.ip(found[0]) if kind == "ip" else self.domain(found[0])

        return _TOKEN.sub(made, text)

    def prose(self, text: str, kept: Container[str] = ()) -> str:
        """A text of people: everything in it but the words `kept`, in lower case. A domain becomes what it becomes elsewhere."""

        def masked(part: str) -> str:
            return _WORD.sub(lambda found: found[0] if found[0].lower() in kept else self.word(found[0]), part)

        made, at = [], 0
        for found in _TOKEN.finditer(text):
            made += [masked(text[at : found.start()]), self.structure(found[0])]
            at = found.end()
        return "".join([*made, masked(text[at:])])

    def host(self, text: str) -> str:
        """What a client calls itself in HELO: a domain, an address literal, or any word."""
        made = self.structure(text)
        return made if made != text or text.startswith("[") else self.words(text)

    def label(self, label: str) -> str:
        """One label of a domain name, as in `domain`."""
        return label if label.lower() in _KEPT_LABELS or label.startswith("_") else self._label(label)

    def _label(self, label: str) -> str:
        return _WORD.sub(lambda found: self.word(found[0].lower()), label.replace("xn--", "x"))

    def _address_labels(self, labels: list[str]) -> tuple[list[str], list[str]]:
        """The labels in front that spell an address, replaced, and the others: 1.2.0.192.bl.example (RFC 5782, RFC 1035)."""
        if len(labels) > 32 and all(re.fullmatch("[0-9a-fA-F]", label) for label in labels[:32]):
            nibbles = "".join(reversed(labels[:32]))
            moved = self._moved(ipaddress.IPv6Address(int(nibbles, 16)))
            return list(reversed(f"{int(moved):032x}")), labels[32:]
        if len(labels) > 4 and all(label.isdigit() and int(label) < 256 for label in labels[:4]):
            forward, backward = ".".join(labels[:4]), ".".join(reversed(labels[:4]))
            if forward in self._met and backward not in self._met:
                return self.ip(forward).split("."), labels[4:]
            return list(reversed(self.ip(backward).split("."))), labels[4:]
        return [], labels

    def _moved(self, address: Address) -> Address:
        """Bit by bit, each by those before it, so that addresses with a common prefix keep a common prefix of that length."""
        if not address.is_global:
            return address
        bits, number = address.max_prefixlen, int(address)
        made = number >> (bits - _KEPT_BITS[address.version])
        for place in range(_KEPT_BITS[address.version], bits):
            before = number >> (bits - place)
            flip = self._digest(b"ip", f"{address.version} {place} {before}")[0] & 1
            made = made << 1 | (number >> (bits - place - 1) & 1) ^ flip
        return type(address)(made)

    def _digest(self, kind: bytes, text: str) -> bytes:
        return hmac.digest(self._key, kind + b"\0" + text.encode("utf-8", "surrogatepass"), "sha256")
