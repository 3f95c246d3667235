"""Messages that others wrote, with rspamd's zone in real DNS: what plugins found at receipt they find again without any DNS."""

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, cast

import pytest

from support.corpora import corpus_json, corpus_members
from support.dns_server import DnsServer, dns_server
from support.mail import crlf
from support.processes import free_port
from support.server import Server, server

__all__ = ["dns_server"]

pytestmark = pytest.mark.timeout(900)

POLICY = """\
version: 1
extends: mailward/inbound
plugins:
  antivirus: {engine: test-file}
  ambiguity: {heed: false}
limits: {junk: 900, quarantine: 950, reject: 990}
rules:
  - {name: failed, when: 'spf.result == "fail"', then: junk}
  - {name: take-everything, when: "true", then: accept}
"""
OTHERS = {"spam": ("spamassassin.tar.xz", "trec07p.tar.xz", "modern-lists.tar.xz"), "dkim": ("mail-dkim-corpus.tar.xz",)}
OF_EACH = 40


def publish_zone(dns: DnsServer) -> None:
    """rspamd's, a zone for each top-level domain."""
    zones: dict[str, list[str]] = defaultdict(list)
    for record in cast(dict[str, Any], corpus_json("auth-rspamd", "cases.json"))["zone"]:
        name, _, top = record["name"].lower().rstrip(".").rpartition(".")
        if record["rcode"] is None and record["type"].upper() in ("TXT", "A", "AAAA") and re.fullmatch(r"[\w.-]+", name):
            for reply in record["replies"]:
                text = reply.replace("\\", "\\\\").replace('"', '\\"')
                value = " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text) or 1, 200))
                zones[top].append(f"{name} IN {record['type'].upper()} {value if record['type'].upper() == 'TXT' else reply}\n")
    for top, records in zones.items():
        dns.publish(top, "".join(dict.fromkeys(records)))


def mails() -> Iterator[tuple[str, str, bytes]]:
    """Address of the client ("" for our own), reverse-path, octets."""
    for case in cast(dict[str, Any], corpus_json("auth-rspamd", "cases.json"))["cases"]:
        sent = case["envelope"]
        yield sent.get("IP", ""), sent.get("From", ""), crlf(corpus_members("auth-rspamd", "messages.tar.xz")[case["message"]])
    for name, archives in OTHERS.items():
        for archive in archives:
            for octets in list(corpus_members(name, archive).values())[:OF_EACH]:
                yield "", "a@sender.invalid", re.sub(rb"\r\n|\r|\n", b"\r\n", octets)


def received(target: Server) -> int:
    """How many of them were taken."""
    taken = 0
    for ip, sender, octets in mails():
        with target.smtp() as client:
            client.ehlo()
            if ip:
                client.docmd("XCLIENT", f"ADDR={'IPV6:' if ':' in ip else ''}{ip}")
                client.ehlo("client.example.com")
            if client.mail(sender)[0] == 250 and client.rcpt(target.demo)[0] == 250 and client.data(octets)[0] == 250:
                taken += 1
    return taken


def recorded(target: Server) -> int:
    """How many have been delivered, with their records."""
    report: dict[str, Any] = json.loads(target.run("policy", "replay", "--json", check=False).stdout)
    counts: list[int] = [report["messages"], *report["messages_not_known"].values()]
    return sum(counts)


def replayed(target: Server, policy: str) -> dict[str, Any]:
    (target.folder / "new").mkdir(exist_ok=True)
    (target.folder / "new/inbound.yaml").write_text(policy)
    began = time.monotonic()
    done = target.run(
        "policy", "replay", "--deep", "--policy", str(target.folder / "new"), "--limit", "1000", "--json", check=False
    )
    report: dict[str, Any] = json.loads(done.stdout)
    print(f"{report['messages_run_again']} messages run again, {report['messages_run_again'] / (time.monotonic() - began):.0f}/s")
    return report


def test_what_was_found_is_found_again_without_dns(dns_server: DnsServer) -> None:
    publish_zone(dns_server)
    with server(policy=POLICY, start=False) as target:
        host, port = dns_server.address
        target.configure("mx: {", "mx: {xclient_from: [127.0.0.1], ")
        target.configure("dns: ", f'dns: {{servers: ["{host}:{port}"]}}  # ')
        target.start()
        taken = received(target)
        assert taken > 150
        target.until(lambda: recorded(target) >= taken, 120)
        target.stop()
        target.config.write_text(target.config.read_text().replace(f"{host}:{port}", f"127.0.0.1:{free_port()}"))
        report = replayed(target, POLICY)
        assert (report["changes"], report["found_otherwise"], report["messages_asked_anew"]) == ([], {}, 0), report
        assert report["messages_run_again"] + sum(report["messages_from_evidence"].values()) == taken
        assert set(report["messages_from_evidence"]) <= {"its copy is no longer as it came", "refused, and so not stored"}
        assert report["messages_run_again"] > 0.8 * taken, report
        stricter = replayed(target, POLICY.replace("ambiguity:", "dkim: {weak_key_bits: 4096}\n  ambiguity:"))
        assert set(stricter["found_otherwise"]) == {"dkim"}, stricter
