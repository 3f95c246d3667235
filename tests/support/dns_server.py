"""Real DNS for tests: nsd is authoritative for the whole test world, a validating unbound stands before it.

The root zone is ours and signed, its key is unbound's trust anchor; zones published with `signed=True` get a DS record there.
So NXDOMAIN, NODATA, CNAME chains, truncation and the AD bit are those of real servers. Two names always exist:
`silent.test` (its servers never answer) and `bogus.test` (its signatures are wrong, so the answer is SERVFAIL).
"""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.dnssec
import dns.dnssectypes
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdata
import dns.rdataset
import dns.rdatatype
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from support.processes import RunningProgram, free_port, program

_HEAD = "$TTL 300\n@ IN SOA ns.test. hostmaster.test. {serial} 3600 600 86400 60\n@ IN NS ns.test.\n"


class DnsServer:
    """address: the validating resolver to give to code under test. authority: nsd itself."""

    def __init__(self, folder: Path) -> None:
        self._nsd_path, unbound = program("nsd", "nsd"), program("unbound", "unbound")
        self._control = program("unbound-control", "unbound")
        self._folder = folder
        self._serial = 0
        self._zones: dict[str, dns.zone.Zone] = {}
        self._ds: dict[str, dns.rdataset.Rdataset] = {}
        self._silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._silent.bind(("127.0.0.1", 0))
        self.authority = ("127.0.0.1", free_port())
        self.address = ("127.0.0.1", free_port())
        self._root_key = ed25519.Ed25519PrivateKey.generate()
        self._make_zone("bogus.test", '@ IN TXT "never seen"\n', signed=True, wrong=True)
        self._nsd = self._start_nsd()
        self._write_unbound()
        self._unbound = RunningProgram([unbound, "-d", "-c", str(folder / "unbound.conf")], folder / "unbound.log")
        self._unbound.wait_until(lambda: self._serves(self.address))

    def publish(self, zone: str, records: str, *, signed: bool = False, forged: str = "") -> None:
        """Add or replace a zone; records in master-file form, names relative to it; the SOA and NS records are added.

        forged: a record that takes the place of those of its name and type after the zone was signed.
        """
        self._make_zone(zone, records, signed=signed, forged=forged)
        self._nsd.stop()
        self._nsd = self._start_nsd()
        flush = [self._control, "-c", str(self._folder / "unbound.conf"), "flush_zone", "."]
        subprocess.run(flush, check=True, capture_output=True)

    def close(self) -> None:
        self._unbound.stop()
        self._nsd.stop()
        self._silent.close()

    def _start_nsd(self) -> RunningProgram:
        self._write_nsd()
        nsd = RunningProgram([self._nsd_path, "-d", "-c", str(self._folder / "nsd.conf")], self._folder / "nsd.log")
        nsd.wait_until(lambda: self._serves(self.authority))
        return nsd

    def _make_zone(self, name: str, records: str, *, signed: bool, wrong: bool = False, forged: str = "") -> None:
        self._serial += 1
        zone = dns.zone.from_text(_HEAD.format(serial=self._serial) + records, origin=name, relativize=False)
        self._ds.pop(name, None)
        if signed:
            key = ed25519.Ed25519PrivateKey.generate()
            announced = ed25519.Ed25519PrivateKey.generate() if wrong else key
            _sign(zone, key)
            ds = dns.dnssec.make_ds(zone.origin or dns.name.root, _dnskey(announced), dns.dnssectypes.DSDigest.SHA256)
            self._ds[name] = dns.rdataset.from_rdata(300, ds)
        if forged:
            owner, kind, data = forged.split(" ", 2)
            rdata = dns.rdata.from_text("IN", kind, data, origin=zone.origin, relativize=False)
            zone.replace_rdataset(owner, dns.rdataset.from_rdata(300, rdata))
        self._zones[name] = zone

    def _root(self) -> dns.zone.Zone:
        delegations = "".join(f"{name}. IN NS ns.test.\n" for name in self._zones)
        head = _HEAD.format(serial=self._serial) + "ns.test. IN A 127.0.0.1\n"
        root = dns.zone.from_text(head + delegations, origin=".", relativize=False)
        for name, ds in self._ds.items():
            root.replace_rdataset(dns.name.from_text(name), ds)
        _sign(root, self._root_key)
        return root

    def _write_nsd(self) -> None:
        lines = [
            "server:",
            f"  ip-address: {self.authority[0]}@{self.authority[1]}",
            f'  zonesdir: "{self._folder}"',
            '  username: ""\n  chroot: ""\n  server-count: 1\n  zonefiles-check: yes',
            f'  pidfile: "{self._folder}/nsd.pid"\n  xfrdfile: ""\n  zonelistfile: "{self._folder}/nsd.list"',
            f'  xfrdir: "{self._folder}"\n  database: ""',
            "remote-control:\n  control-enable: no",
        ]
        for name, zone in [("", self._root()), *self._zones.items()]:
            file = self._folder / f"{name or 'root'}.zone"
            zone.to_file(str(file), relativize=False)
            lines.append(f'zone:\n  name: "{name or "."}"\n  zonefile: "{file.name}"')
        (self._folder / "nsd.conf").write_text("\n".join(lines) + "\n")

    def _write_unbound(self) -> None:
        anchor = dns.dnssec.make_ds(dns.name.root, _dnskey(self._root_key), dns.dnssectypes.DSDigest.SHA256)
        (self._folder / "root.anchor").write_text(f". IN DS {anchor.to_text()}\n")
        authority = f"{self.authority[0]}@{self.authority[1]}"
        silent = f"127.0.0.1@{self._silent.getsockname()[1]}"
        (self._folder / "unbound.conf").write_text(
            f"""server:
  interface: {self.address[0]}
  port: {self.address[1]}
  username: ""
  chroot: ""
  directory: "{self._folder}"
  pidfile: "{self._folder}/unbound.pid"
  use-syslog: no
  do-ip6: no
  num-threads: 1
  do-not-query-localhost: no
  qname-minimisation: no
  unblock-lan-zones: yes
  insecure-lan-zones: yes
  local-zone: "test." nodefault
  local-zone: "invalid." nodefault
  domain-insecure: "silent.test."
  trust-anchor-file: "{self._folder}/root.anchor"
remote-control:
  control-enable: yes
  control-interface: "{self._folder}/unbound.sock"
  control-use-cert: no
stub-zone:
  name: "."
  stub-addr: {authority}
stub-zone:
  name: "silent.test."
  stub-addr: {silent}
"""
        )

    def _serves(self, address: tuple[str, int]) -> bool:
        """Whether the server there knows the newest root zone."""
        query = dns.message.make_query(".", dns.rdatatype.SOA, flags=dns.flags.RD)
        try:
            response = dns.query.udp(query, address[0], port=address[1], timeout=0.5)
        except (OSError, dns.exception.DNSException):
            return False
        return any(rr[0].serial == self._serial for rr in response.answer if rr.rdtype == dns.rdatatype.SOA)


def _dnskey(key: ed25519.Ed25519PrivateKey) -> DNSKEY:
    return dns.dnssec.make_dnskey(key.public_key(), dns.dnssectypes.Algorithm.ED25519, flags=257)


def _sign(zone: dns.zone.Zone, key: ed25519.Ed25519PrivateKey) -> None:
    now = datetime.now(UTC)
    dns.dnssec.sign_zone(
        zone, keys=[(key, _dnskey(key))], inception=now - timedelta(hours=1), expiration=now + timedelta(days=2), add_dnskey=True
    )


@pytest.fixture(scope="session")
def dns_server() -> Iterator[DnsServer]:
    """One DNS world for the whole session; tests publish the zones they need under names of their own."""
    folder = Path(tempfile.mkdtemp(prefix="mailward-dns-"))
    server = DnsServer(folder)
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
