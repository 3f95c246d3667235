"""dnsbl and greylist in a whole server, with real DNS and swaks as the client: refused, deferred, taken, explained.

The peers are 127.0.0.2, which every list lists (RFC 5782 section 5), and other addresses of the loopback network.
"""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dns_server import DnsServer
from support.processes import program
from support.server import Server, server

POLICY = """\
version: 1
extends: mailward/inbound
plugins:
  antivirus: {mode: off}
  dnsbl:
    addresses: {bl.test: ["127.0.0.2"]}
    domains: {dbl.test: []}
    not_asked: []
  greylist: {delay: 2s, exempt: []}
rules:
  - name: listed
    when: '"bl.test" in dnsbl.zones'
    then: reject
    reply: "554 5.7.1 Refused, listed by {dnsbl.zones}"
  - name: greylist
    when: greylist.early && score >= 3 && score < 15
    then: tempfail
    reply: "451 4.7.1 Greylisted: please try again in {greylist.wait_s} seconds"
"""
LIST = '2.0.0.127 IN A 127.0.0.2\n2.0.0.127 IN TXT "https://bl.test/lookup?127.0.0.2"\n'


@pytest.fixture(scope="module")
def target(dns_server: DnsServer) -> Iterator[Server]:
    dns_server.publish("bl.test", LIST)
    dns_server.publish("dbl.test", "odd.example IN A 127.0.1.2\n")
    with server(start=False, policy=POLICY) as made:
        config = made.config.read_text()
        made.config.write_text(
            re.sub(r"dns: .*", f'dns: {{servers: ["{dns_server.address[0]}:{dns_server.address[1]}"]}}', config)
        )
        made.start()
        yield made


def swaks(target: Server, ip: str, mail_from: str = "a@sender.example") -> str:
    """The last reply of the server that is not to QUIT."""
    command = [
        program("swaks", "swaks"), "--server", "127.0.0.1", "--port", str(target.port("mx")), "--local-interface", ip,
        "--helo", "mail.sender.example", "--from", mail_from, "--to", target.demo, "--header", "Message-Id: <1@sender.example>",
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    return [line[4:] for line in shown.splitlines() if re.match(r"<(-|\*\*|~~)", line) and "221 " not in line][-1].strip()


def explained(target: Server, answer: str) -> str:
    found = re.search(r"id ([0-9A-Za-z-]+)", answer)
    assert found is not None, answer
    return target.explain(found[1])


def test_a_listed_address_is_refused_at_mail_and_explained(target: Server) -> None:
    answer = swaks(target, "127.0.0.2")
    assert answer.startswith("554 5.7.1 Refused, listed by bl.test (id ")
    text = explained(target, answer)
    assert "DNSBL_ADDRESS" in text and "bl.test lists 127.0.0.2 (127.0.0.2): https://bl.test/lookup?127.0.0.2" in text
    assert "REJECT" in text and "listed" in text


def test_mail_that_looks_odd_is_deferred_once_and_taken_on_retry(target: Server) -> None:
    answer = swaks(target, "127.0.0.3", "a@odd.example")
    assert re.match(r"451 4\.7\.1 Greylisted: please try again in [12] seconds \(id ", answer)
    text = explained(target, answer)
    assert (
        "GREYLIST_EARLY" in text and "network 127.0.0.0/24 writes from this sender to this recipient for the first time" in text
    )
    assert "dbl.test lists odd.example" in text and "TEMPFAIL" in text
    time.sleep(2.1)
    answer = swaks(target, "127.0.0.4", "a@odd.example")
    assert answer.startswith("250 2.0.0 Accepted")
    assert "has come back after the delay" in explained(target, answer)


def test_a_scan_is_not_remembered_as_a_first_try(target: Server, tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_text("From: a@scan.example\r\nSubject: x\r\n\r\nx\r\n")
    arguments = ("--ip", "203.0.113.9", "--mail-from", "a@scan.example", "--rcpt", "demo@example.test")
    for _ in range(2):
        shown = target.run("scan", str(tmp_path / "m.eml"), *arguments, check=False).stdout
        assert "for the first time" in shown


def test_ordinary_mail_is_not_delayed(target: Server) -> None:
    answer = swaks(target, "127.0.0.3")
    assert answer.startswith("250 2.0.0 Accepted")
    assert "GREYLIST_EARLY" in explained(target, answer)


def test_who_came_back_is_known_after_a_restart(target: Server) -> None:
    swaks(target, "127.0.0.3", "b@odd.example")
    time.sleep(2.1)
    target.stop()
    target.start()
    assert swaks(target, "127.0.0.3", "b@odd.example").startswith("250 2.0.0 Accepted")
