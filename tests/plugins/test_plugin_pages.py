"""What the pages about client, dnsbl, greylist, spamtrap and subaddress tell an admin to write is a policy without mistakes."""

import re
from pathlib import Path

import pytest
import yaml

from mailward.testing.policies import made_policy

TOP = Path(__file__).parents[2]
PLUGINS = ("spf", "client", "dnsbl", "greylist", "spamtrap", "subaddress")


@pytest.mark.parametrize(
    "page",
    [
        "docs/how-to/keep-abusers-out.md",
        "plugins/mailward_plugins/client/README.md",
        "plugins/mailward_plugins/dnsbl/README.md",
        "plugins/mailward_plugins/greylist/README.md",
        "plugins/mailward_plugins/spamtrap/README.md",
        "plugins/mailward_plugins/subaddress/README.md",
        "docs/how-to/sort-by-subaddress.md",
    ],
)
def test_every_block_of_a_policy_can_be_loaded(page: str) -> None:
    blocks = re.findall(r"```yaml\n((?:plugins|rules):.*?)```", (TOP / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        written = yaml.safe_load(block)
        settings = written.pop("plugins", {})
        policy, _ = made_policy("inbound", PLUGINS, settings, written)
        assert policy.warnings == ()
