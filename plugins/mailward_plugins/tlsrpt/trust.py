"""Is a message a report to us, whose word is it, and who may be behind it?"""

from mailward.api import EnvelopeView, Evidence, MessageView
from mailward_plugins.tlsrpt.settings import TlsrptSettings


def our_domain(envelope: EnvelopeView, settings: TlsrptSettings) -> str:
    """Of the first forward-path that is an address where we ask for reports, "" when none is."""
    for path in envelope.forward_paths:
        address = path.address
        if address.local_part.lower() == settings.rua.lower():
            return address.domain
    return ""


def submitter_of(message: MessageView, evidence: Evidence) -> str:
    """The domain of the one author, when its signature holds, or that of a domain above it; else "".

    RFC 8460 section 3: a report without a valid signature of the domain that reports is ignored.
    """
    authors = [author.address.domain for author in message.authors if author.address is not None]
    if len(authors) != 1:
        return ""
    (author,) = authors
    signers = evidence.values("dkim", "domains")
    return author if any(author == signer or author.endswith(f".{signer}") for signer in signers) else ""
