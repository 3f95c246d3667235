"""What a plugin has not declared, it does not get."""

from dataclasses import fields

import pytest

from mailward.api import Services
from mailward.pipeline.capabilities import SERVICES, limited
from mailward.pipeline.plugins import PluginHost
from mailward.testing import Scan
from support.plugin_modules import plugin_module
from support.plugin_services import memory_services

USES = {
    "resolver": "await services.resolver.resolve('example.net', 'TXT')",
    "http": "await services.http.get('https://example.net/', limit_octets=1, limit_s=1)",
    "submit": "await services.submit('a@example.net', b'', key='k')",
    "secrets": "services.secrets.names()",
    "credentials": "await services.credentials.check(None, None)",
}
HEAD = "from mailward.api import *\nplugin = Plugin(api=1, summary='made by a test', capabilities={declared!r})\n"


@pytest.mark.parametrize("service", USES)
def test_t_plug_14_a_service_that_is_not_declared_refuses(scan: Scan, service: str) -> None:
    body = f"@hookimpl\nasync def inspect_message(services):\n    {USES[service]}\n"
    sly = plugin_module("sly", body, head=HEAD.format(declared=("body",)))
    result = scan("Subject: x\n\ntext\n", plugins=[sly])
    assert f"it uses services.{service} and has not declared the capability" in (result.call("sly").error or "")
    assert result.verdict == "tempfail"


def test_a_declared_service_is_the_one_itself() -> None:
    given = memory_services()
    assert limited(given, "honest", ["network", "credentials"]) is given
    some = limited(given, "honest", ["network"])
    assert (some.resolver, some.kv, some.log, some.memory) == (given.resolver, given.kv, given.log, given.memory)


def test_every_service_needs_something_or_is_for_everybody() -> None:
    for_everybody = {"clock", "kv", "log", "metrics", "run_blocking", "memory"}
    assert {service.name for service in fields(Services)} == for_everybody | set(SERVICES)


def test_only_these_bundled_plugins_may_see_secrets_or_reach_the_network() -> None:
    host = PluginHost()
    may: dict[str, set[str]] = {}
    for available in host.available():
        for capability in host.load(available.name).declaration.capabilities:
            may.setdefault(capability, set()).add(available.name)
    assert may["credentials"] == {"accounts", "dkim", "totp"}
    assert may["network"] == {"antivirus", "dkim", "dmarc", "dnsbl", "encryption", "spf", "tlsrpt"}
    assert may["edits"] == {"dkim", "spam", "subaddress"}
    assert "files" not in may
