"""The records that a domain publishes so that mail programs find its services (RFC 6186, RFC 8314 section 5.1)."""

from mailward.app.records import domain_records


def test_services_over_tls_are_announced_with_their_ports() -> None:
    services = {r.name: r.value for r in domain_records("example.org", "mx.example.org") if r.type == "SRV"}
    assert services["_submissions._tcp.example.org."] == "0 1 465 mx.example.org."
    assert services["_submission._tcp.example.org."] == "10 1 587 mx.example.org."
    assert services["_imaps._tcp.example.org."] == "0 1 993 mx.example.org."
    assert services["_pop3s._tcp.example.org."] == "10 1 995 mx.example.org."
    assert services["_imap._tcp.example.org."] == "0 0 0 ."  # a target of "." says: not offered
