"""What does a policy know of session, envelope, message and login? The core's facts, by the names of design section 4.

`recipient.*` are the policy's own business, since they differ for each; those of plugins come with their findings.
"""

from mailward.api.logins import LoginAttempt
from mailward.formats.any_reader import FoundAddress, addresses_of_any_reader
from mailward.formats.domains import comparable_domain
from mailward.formats.mailboxes import Mailbox
from mailward.formats.message import MessageView
from mailward.model.address import quote_local_part
from mailward.model.envelope import Envelope
from mailward.model.evidence import FactValue
from mailward.model.session import Role, Session


def session_facts(session: Session) -> dict[str, FactValue]:
    """peer, helo, tls and listener, on submission identity, too; what is not known is empty."""
    facts: dict[str, FactValue] = {
        "peer.ip": session.peer_ip,
        "peer.rdns": session.rdns.name if session.rdns else "",
        "peer.rdns_result": session.rdns.result if session.rdns else "none",
        "helo.name": session.helo or "",
        "tls.version": session.tls.version if session.tls else "",
        "listener.name": session.listener,
    }
    if session.role is Role.SUBMISSION:
        identity = session.identity
        facts |= {
            "identity.user": identity.user if identity else "",
            "identity.groups": identity.groups if identity else (),
            "identity.second_factor": identity is not None and identity.second_factor,
        }
    return facts


def in_words(value: FactValue) -> str:
    """A fact as people read it in a decision record; "" for what is not so or not there."""
    if isinstance(value, bool):
        return "yes" if value else ""
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def login_facts(attempt: LoginAttempt) -> dict[str, FactValue]:
    """peer, tls, listener and login. Not the name: nobody has proved it yet, and people type passwords into its field."""
    return {
        "peer.ip": attempt.peer_ip,
        "tls.version": attempt.tls.version if attempt.tls else "",
        "listener.name": attempt.listener,
        "login.protocol": attempt.protocol,
        "login.mechanism": attempt.mechanism,
    }


def envelope_facts(envelope: Envelope) -> dict[str, FactValue]:
    """mail_from; both texts are empty for the null reverse-path."""
    address = envelope.reverse_path.address
    return {
        "mail_from.address": "" if address is None else str(address),
        "mail_from.domain": "" if address is None else address.domain,
        "mail_from.is_null": address is None,
    }


CONTENT = frozenset({"message.subject", "author.display_name"})
"""Facts that rules may read and that are never recorded: they are what somebody wrote."""


def content_facts(message: MessageView) -> dict[str, FactValue]:
    """Those of `CONTENT`, for which the header is enough."""
    author = next(iter(message.authors), None)
    return {"message.subject": message.subject, "author.display_name": "" if author is None else author.display_name}


def message_facts(message: MessageView) -> dict[str, FactValue]:
    """author and message."""
    return {
        **author_facts(message),
        "message.size_octets": message.size_octets,
        **content_facts(message),
        "message.anomalies": message.anomalies,
        "message.attachment_types": message.attachment_types,
    }


def author_facts(message: MessageView) -> dict[str, FactValue]:
    """The first mailbox of From; both are empty where no reader finds an address."""
    author = next(iter(message.authors), None)
    address, domain = ("", "") if author is None else _address_and_domain(author)
    return {"author.address": address, "author.domain": domain}


def _address_and_domain(author: Mailbox) -> tuple[str, str]:
    """As texts. What is malformed, such as `<a@evil.example.>`, still is an address to people, so rules must see it (T-HDR-07).

    In lower case then. Of several that readers find it is ours if it is among them, else the first in the order of the alphabet.
    """
    if author.address is not None:
        return str(author.address), author.address.domain
    local_part, domain = (octets.decode("utf-8", "replace") for octets in (author.local_part_octets, author.domain_octets))
    ours = FoundAddress(local_part, comparable_domain(domain))
    found = addresses_of_any_reader(author.raw)
    if not found:
        return "", ""
    local_part, domain = ours if ours in found else min(found)
    return f"{quote_local_part(local_part.lower())}@{domain}", domain
