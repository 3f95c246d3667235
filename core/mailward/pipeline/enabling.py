"""With which plugins does a policy work, and how? Its entries, with the plugins they name and what these may use."""

from collections.abc import Callable, Iterator

from mailward.api.services import Services
from mailward.pipeline.called import Enabled
from mailward.pipeline.capabilities import limited
from mailward.pipeline.chain import Chain
from mailward.pipeline.plugins import PluginHost
from mailward.policy import Policy

ServicesOf = Callable[[str], Services]
"""Plugin name -> what that plugin may use."""


def enabled_plugins(policy: Policy, host: PluginHost, services_of: ServicesOf) -> Iterator[Enabled]:
    """Those the policy enforces or shadows and that are there. Raises PluginError."""
    for name, entry in policy.plugins.items():
        if entry.mode == "off" or entry.declaration is None:
            continue
        plugin = host.load(name)
        yield Enabled(
            plugin,
            entry.settings,
            limited(services_of(name), name, plugin.declaration.capabilities),
            timeout_s=entry.timeout_s,
            mode="enforce" if entry.counts else "shadow",
            place=entry.order,
            on_error=entry.on_error,
            isolated=entry.isolated,
        )


def chain_of(policy: Policy, host: PluginHost, services_of: ServicesOf) -> Chain:
    """The plugins of a policy that does not judge mail. Raises PluginError when they cannot work together."""
    return Chain(enabled_plugins(policy, host, services_of))
