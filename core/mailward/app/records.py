"""The DNS records a domain should publish so that others can send it mail and trust what it says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One record in zone-file terms; `why` is one sentence for people."""

    name: str
    type: str
    value: str
    why: str


def domain_records(domain: str, hostname: str) -> tuple[Record, ...]:
    """The records of one domain served by `hostname`. The host's own A and AAAA records are the network's business."""
    return (
        Record(f"{domain}.", "MX", f"10 {hostname}.", "mail for the domain comes to this server (RFC 5321 section 5)"),
        Record(f"{domain}.", "TXT", '"v=spf1 mx -all"', "only the domain's MX hosts send mail for it (RFC 7208)"),
        Record(
            f"_dmarc.{domain}.",
            "TXT",
            f'"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"',
            "reports about mail in the domain's name; p=none until it signs what it sends (RFC 9989)",
        ),
        Record(f"_imaps._tcp.{domain}.", "SRV", f"0 1 993 {hostname}.", "mail clients find IMAP over TLS (RFC 6186)"),
        Record(f"_imap._tcp.{domain}.", "SRV", "0 0 0 .", "and no IMAP without it (RFC 6186)"),
    )
