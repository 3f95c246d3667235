"""One plugin alone, with those it needs, whether or not a policy names it and whether or not there is a server."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from mailward.app.config import DECISIONS_KEPT_S, Config, Limits, Outbound, TlsFiles
from mailward.app.filters import Filters, load_filters, policy_file
from mailward.model.errors import PluginError
from mailward.pipeline.plugins import PluginHost, stages_of
from mailward.policy import Direction, Policy, load_policy, plugins_named

_OF_MESSAGES = frozenset({"inspect_connect", "inspect_helo", "inspect_mail", "inspect_rcpt", "inspect_message", "edit_message"})


def policy_of(
    direction: Direction,
    names: Iterable[str],
    host: PluginHost,
    settings: Mapping[str, Mapping[str, object]],
    keys: Mapping[str, object],
) -> Policy:
    """A checked policy of these plugins and nothing else. settings: plugin -> its keys. keys: of the file, beside `plugins`.

    Raises PluginError and PolicyError.
    """
    enabled = list(names)
    declarations = host.enable(enabled)
    stages = stages_of(direction, (host.load(name) for name in enabled))
    text = yaml.safe_dump({"version": 1, **keys, "plugins": {name: dict(settings.get(name, {})) for name in enabled}})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{direction}.yaml"
        file.write_text(text, encoding="utf-8")
        return load_policy(file, declarations, stages=stages, shown_as=f"{direction}.yaml")


def filters_alone(config: Config, plugin: str) -> Filters:
    """Filters whose inbound policy is this plugin and those it needs, with the settings that the server's own gives them.

    plugin: a name, or the path of a file that could be dropped in. Raises ConfigError: of the server's policy too, if that names
    the plugin.
    """
    path = Path(plugin)
    if path.suffix == ".py":
        host, name = PluginHost(path.absolute().parent), path.stem
    else:
        host, name = PluginHost(config.plugins), plugin
    loaded = host.load(name)
    if not any(hook in _OF_MESSAGES for hook in loaded.implementations):
        raise PluginError(name, f"looks at no message: its hooks are {', '.join(loaded.implementations)}")
    names = _with_needs(host, name)
    policy = policy_of("inbound", names, host, {}, {})
    own = policy_file(config, "inbound")
    if own.is_file() and name in plugins_named(own):
        set_there = load_filters(config).policies["inbound"].plugins
        entries = {one: replace(set_there.get(one, entry), mode="enforce") for one, entry in policy.plugins.items()}
        policy = replace(policy, plugins=entries)
    return Filters({"inbound": policy}, host)


def _with_needs(host: PluginHost, name: str) -> list[str]:
    found = [name]
    for one in found:
        for hook in host.load(one).implementations.values():
            found += [need for need in hook.options.needs if need not in found]
    return found


def config_of_nothing(folder: Path) -> Config:
    """What holds where there is no server: DNS as this machine has it, no lists, nothing kept. folder: empty, for scratch."""
    return Config(
        path=folder / "mailward.yaml",
        folder=folder,
        hostname="localhost",
        user=None,
        data=folder,
        policies=folder,
        plugins=folder,
        tls=TlsFiles(folder, folder),
        dns_servers=(),
        listeners=(),
        routes={},
        relay_domains=frozenset(),
        verify_recipients="off",
        outbound=Outbound(),
        limits=Limits(),
        smtp_processes=1,
        decisions_kept_s=DECISIONS_KEPT_S,
    )
