"""The records that a domain publishes: where its services are (RFC 5804, RFC 6186, RFC 8314 section 5.1), and that mail must be private."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from mailward.app.records import domain_records, privacy_records
from mailward.model.tls import Tlsa
from mailward.net.dane import prove
from mailward_plugins.encryption.sts_policy import announced_id, read_policy
from support.certificates import Authority


def test_services_over_tls_are_announced_with_their_ports() -> None:
    services = {r.name: r.value for r in domain_records("example.org", "mx.example.org") if r.type == "SRV"}
    assert services["_submissions._tcp.example.org."] == "0 1 465 mx.example.org."
    assert services["_submission._tcp.example.org."] == "10 1 587 mx.example.org."
    assert services["_imaps._tcp.example.org."] == "0 1 993 mx.example.org."
    assert services["_pop3s._tcp.example.org."] == "10 1 995 mx.example.org."
    assert services["_sieve._tcp.example.org."] == "0 1 4190 mx.example.org."
    assert services["_imap._tcp.example.org."] == "0 0 0 ."  # a target of "." says: not offered


def test_the_key_that_is_announced_is_the_one_that_the_server_shows(tmp_path: Path) -> None:
    """RFC 7671 section 5.1: openssl says which it is."""
    issued = Authority(tmp_path).issue("mx.example.org")
    in_der = "openssl x509 -in {} -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum"
    told = subprocess.run(["sh", "-c", in_der.format(issued.certificate)], capture_output=True, text=True, check=True).stdout
    announced, tlsa = privacy_records("example.org", "mx.example.org", issued.certificate)
    assert (tlsa.name, tlsa.type, tlsa.value) == ("_25._tcp.mx.example.org.", "TLSA", f"3 1 1 {told.split()[0]}")
    record = Tlsa(3, 1, 1, bytes.fromhex(tlsa.value.split()[3]))
    assert prove([issued.whole], [record], (), datetime.now(UTC)) is record
    assert [one.type for one in privacy_records("example.org", "mx.provider.example", issued.certificate)] == ["TXT"]
    assert [one.type for one in privacy_records("example.org", "mx.example.org", tmp_path / "none")] == ["TXT"]
    policy_id = announced_id([announced.value.strip('"')])
    assert announced.name == "_mta-sts.example.org." and policy_id is not None
    lines = announced.why.partition("text/plain: ")[2].partition(";")[0].split(" | ")
    assert read_policy("\n".join(lines).encode()).names("mx.example.org")
    other = privacy_records("example.org", "mx2.example.org", issued.certificate)[0]
    assert announced_id([other.value.strip('"')]) != policy_id
