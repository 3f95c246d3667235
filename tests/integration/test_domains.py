"""`mailward domain`, as an admin types it: a domain is added, its keys are published in real DNS, changed and put away."""

import json
import re

from support.dns_server import DnsServer, dns_server
from support.server import Server, server

__all__ = ["dns_server"]


def publish(target: Server, dns: DnsServer, domain: str) -> None:
    """Exactly the lines that are printed, comments included."""
    dns.publish(domain, target.run("domain", "dns", domain).stdout)


def ask_here(target: Server, dns: DnsServer) -> None:
    config = target.config.read_text()
    target.config.write_text(re.sub(r"dns: .*", f'dns: {{servers: ["{dns.address[0]}:{dns.address[1]}"]}}', config))


def test_keys_are_changed_only_once_dns_has_the_new_ones(dns_server: DnsServer) -> None:
    with server(start=False) as target:
        ask_here(target, dns_server)
        domain = "added.test"
        added = target.json("domain", "add", domain)
        assert isinstance(added, dict)
        first = added["selectors"]
        assert len(first) == 2
        publish(target, dns_server, domain)

        nothing_waits = target.run("domain", "key", "activate", domain, check=False)
        assert nothing_waits.returncode == 66 and "domain key rotate" in nothing_waits.stderr

        rotated = target.json("domain", "key", "rotate", domain)
        assert isinstance(rotated, dict)
        assert rotated["sign"] == first and len(rotated["wait"]) == 2 and len(rotated["records"]) == 4

        too_early = target.run("domain", "key", "activate", domain, check=False)
        assert too_early.returncode == 70 and too_early.stderr.count("not in DNS") == 2
        publish(target, dns_server, domain)
        activated = target.json("domain", "key", "activate", domain)
        assert isinstance(activated, dict)
        assert activated["sign"] == rotated["wait"] and len(activated["records"]) == 4

        too_soon = target.run("domain", "key", "retire", domain, check=False)
        assert too_soon.returncode == 70 and "too soon: until" in too_soon.stderr and "--now" in too_soon.stderr
        listed = target.run("domain", "key", "list", domain).stdout
        assert listed.count("signed before") == 2 and f": mailward domain key retire {domain}" in listed
        retired = target.run("domain", "key", "retire", domain, "--now").stdout
        assert all(f"{selector}._domainkey.{domain}." in retired for selector in first)
        shown = target.json("domain", "key", "list", domain)
        assert isinstance(shown, dict)
        assert shown["sign"] == rotated["wait"] and len(shown["records"]) == 2


def test_a_record_that_says_something_else_does_not_count(dns_server: DnsServer) -> None:
    with server(start=False) as target:
        ask_here(target, dns_server)
        target.run("domain", "add", "wrong.test")
        target.run("domain", "key", "rotate", "wrong.test")
        lines = target.run("domain", "dns", "wrong.test").stdout
        dns_server.publish("wrong.test", re.sub(r"p=\S{8}", "p=AAAAAAAA", lines))
        refused = target.run("domain", "key", "activate", "wrong.test", check=False)
        assert refused.returncode == 70 and "DNS shows something else" in refused.stderr
        assert "sign now" in target.run("domain", "key", "activate", "wrong.test", "--unchecked").stdout


def test_the_records_of_a_domain_are_compared_with_real_dns(dns_server: DnsServer) -> None:
    with server(start=False) as target:
        ask_here(target, dns_server)
        target.run("domain", "add", "compared.test")
        lines = target.run("domain", "dns", "compared.test").stdout
        dns_server.publish("compared.test", re.sub(r"(?m)^(; .*\n)r\S+_domainkey.*\n|p=none; ", "", lines))
        done = target.run("domain", "dns", "compared.test", "--check", check=False)
        assert done.returncode == 1
        assert "_domainkey.compared.test. TXT: not in DNS, add it" in done.stdout
        assert "_dmarc.compared.test. TXT: DNS shows something else, v=DMARC1; rua=" in done.stdout
        states = {
            (one["name"].partition(".compared")[0], one["type"]): one["state"]
            for one in json.loads(target.run("domain", "dns", "compared.test", "--check", "--json", check=False).stdout)
        }
        assert states["compared.test.", "MX"] == states["compared.test.", "TXT"] == "published"
        assert {state for (_, kind), state in states.items() if kind == "SRV"} == {"published"}
        assert [state for (name, _), state in states.items() if name.startswith("e")] == ["published"]


def test_every_domain_has_keys_whichever_way_it_came() -> None:
    with server(start=False) as target:
        target.add_account("bob@other.test")
        target.run("domain", "add", "B\u00fccher.test")
        target.run("domain", "add", "example.test")
        listed = target.json("domain", "list")
        assert isinstance(listed, list)
        assert [entry["domain"] for entry in listed] == ["example.test", "other.test", "xn--bcher-kva.test"]
        assert all(len(entry["selectors"]) == 2 for entry in listed)
        dns = target.json("domain", "dns", "other.test")
        assert isinstance(dns, list)
        assert sum("._domainkey.other.test." in record["name"] for record in dns) == 2


def test_a_broken_key_is_told_and_the_other_records_are_printed() -> None:
    with server(start=False) as target:
        for key in (target.folder / "secrets/dkim/example.test").glob("r*.pem"):
            key.write_bytes(b"broken")
        done = target.run("domain", "dns", "example.test")
        assert "dkim: KeyFileError: example.test/r" in done.stderr and "MX" in done.stdout


def test_a_broken_key_does_not_pass_for_a_plugin_that_is_off() -> None:
    with server(start=False) as target:
        for key in (target.folder / "secrets/dkim/example.test").glob("r*.pem"):
            key.chmod(0o644)
        done = target.run("domain", "key", "list", "example.test", check=False)
        assert done.returncode == 70
        assert "chmod" in done.stderr and "waits in the queue" in done.stderr and "not enabled" not in done.stderr


def test_nothing_to_do_is_said() -> None:
    with server(start=False) as target:
        assert target.run("domain", "key", "retire", "example.test").stdout == "no key has signed before, so none is deleted\n"
        first = target.json("domain", "key", "rotate", "example.test")
        second = target.run("domain", "key", "rotate", "example.test").stdout
        assert "so no new ones were made" in second and all(selector in second for selector in first["wait"])


def test_wrong_usage() -> None:
    with server(start=False) as target:
        for arguments, code in (
            (["domain", "add", "[192.0.2.1]"], 64),
            (["domain", "add", "no domain"], 64),
            (["domain", "key", "list", "elsewhere.test"], 66),
        ):
            assert target.run(*arguments, check=False).returncode == code, arguments
