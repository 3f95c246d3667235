"""rspamd's own SPF, DKIM and DMARC cases, through our hooks, with their zone and their words mapped to those of RFC 8601."""

from pathlib import Path
from typing import Any, cast

import pytest

from mailward.api import MessageView
from mailward_plugins import dkim, dmarc, spf
from mailward_plugins.dkim.settings import DkimSettings
from mailward_plugins.dmarc.settings import DmarcFacts, DmarcSettings
from mailward_plugins.spf.settings import SpfSettings
from support.corpora import corpus_json, corpus_members
from support.fake_dns import TIMEOUT
from support.mail import crlf
from support.plugin_services import envelope, evidence, services, session

_WORDS = {
    "R_SPF_ALLOW": "SPF_PASS", "R_SPF_FAIL": "SPF_FAIL", "R_SPF_NA": "SPF_NONE", "R_SPF_DNSFAIL": "SPF_TEMPERROR",
    "R_SPF_PERMFAIL": "SPF_PERMERROR", "R_DKIM_ALLOW": "DKIM_PASS", "R_DKIM_REJECT": "DKIM_FAIL", "R_DKIM_NA": "DKIM_NONE",
    "R_DKIM_PERMFAIL": "DKIM_PERMERROR", "R_DKIM_TEMPFAIL": "DKIM_TEMPERROR", "DMARC_POLICY_ALLOW": "DMARC_PASS",
    "DMARC_POLICY_SOFTFAIL": "DMARC_FAIL none", "DMARC_POLICY_QUARANTINE": "DMARC_FAIL quarantine", "DMARC_NA": "DMARC_NONE",
}  # fmt: skip

ON_PURPOSE = {
    "SPF FAIL UNRESOLVEABLE INCLUDE": "an include without a record is permerror (RFC 7208 section 5.2)",
    "DKIM Accept Large Key Below Limit": "keys above 4096 bits are refused before any maths (T-DKIM-06)",
    "DMARC PCT ZERO REJECT": "RFC 9989 removed pct, and an underscore makes no mail domain",
    "DMARC PCT ZERO SP QUARANTINE": "as above",
}
"""Where we answer otherwise."""

DATA = cast(dict[str, Any], corpus_json("auth-rspamd", "cases.json"))
CASES = [case for case in DATA["cases"] if "_arc_" not in case["file"] and case["test"] not in ON_PURPOSE]


def _zone() -> dict[str, dict[str, list[str]]]:
    zone: dict[str, dict[str, list[str]]] = {}
    for record in DATA["zone"]:
        name, kind = record["name"].lower(), record["type"].upper()
        if record["rcode"] in ("timeout", "servfail"):
            zone.setdefault(name, {})[TIMEOUT] = []
        elif record["rcode"] is None:
            replies = [reply if kind != "MX" or reply[0].isdigit() else f"10 {reply}" for reply in record["replies"]]
            known = zone.setdefault(name, {}).setdefault(kind, [])
            known += [reply for reply in replies if reply not in known]
    return zone


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["test"].replace(" ", "-"))
async def test_rspamd(case: dict[str, Any], tmp_path: Path) -> None:
    given, sent = services(tmp_path, _zone()), case["envelope"]
    view = MessageView(crlf(corpus_members("auth-rspamd", "messages.tar.xz")[case["message"]]))
    spf_finding = await spf.inspect_mail(
        session(sent.get("IP", "127.0.0.1"), sent.get("Helo", "")), envelope(sent.get("From", "")), SpfSettings(), given
    )
    dkim_findings = await dkim.inspect_message(view, DkimSettings(), given)
    dmarc_finding = await dmarc.inspect_message(view, evidence(spf=spf_finding, dkim=dkim_findings), DmarcSettings(), given)
    assert isinstance(dmarc_finding.facts, DmarcFacts)
    found = {
        spf_finding.symbol,
        dkim_findings[0].symbol,
        dmarc_finding.symbol,
        f"{dmarc_finding.symbol} {dmarc_finding.facts.policy}",
    }
    assert {_WORDS[word] for word in case["expect"]} <= found
    assert not {_WORDS[word] for word in case["expect_not"]} & found
