"""Every bundled plugin keeps what the conformance kit asks of any plugin."""

from collections.abc import Mapping
from importlib import metadata
from typing import ClassVar

from mailward.pipeline.plugins import ENTRY_POINT_GROUP
from mailward.testing.conformance import Conformance


class TestAccounts(Conformance):
    plugin = "accounts"


class TestAmbiguity(Conformance):
    plugin = "ambiguity"


class TestAntivirus(Conformance):
    plugin = "antivirus"
    settings: ClassVar[Mapping[str, object]] = {"engine": "test-file"}


class TestClient(Conformance):
    plugin = "client"


class TestDkim(Conformance):
    plugin = "dkim"


class TestDmarc(Conformance):
    plugin = "dmarc"


class TestDnsbl(Conformance):
    plugin = "dnsbl"
    settings: ClassVar[Mapping[str, object]] = {"addresses": {"bl.test": []}, "domains": {"dbl.test": []}}


class TestEncryption(Conformance):
    plugin = "encryption"


class TestGreylist(Conformance):
    plugin = "greylist"


class TestLoginGuard(Conformance):
    plugin = "login_guard"


class TestSpam(Conformance):
    plugin = "spam"


class TestSpamtrap(Conformance):
    plugin = "spamtrap"
    settings: ClassVar[Mapping[str, object]] = {"addresses": ["recipient@example.org"]}


class TestSpf(Conformance):
    plugin = "spf"


class TestSubaddress(Conformance):
    plugin = "subaddress"
    settings: ClassVar[Mapping[str, object]] = {"create": True}


class TestTlsrpt(Conformance):
    plugin = "tlsrpt"


class TestTotp(Conformance):
    plugin = "totp"


def test_none_is_left_out() -> None:
    tested = {one.plugin for one in Conformance.__subclasses__() if one.__module__ == __name__}
    bundled = {p.name for p in metadata.entry_points(group=ENTRY_POINT_GROUP) if p.value.startswith("mailward_plugins.")}
    assert tested == bundled
