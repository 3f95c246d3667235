"""Can the server run with what is on the disk now? One check for the start, every reload, and `mailward reload`."""

import os
from contextlib import closing, suppress
from dataclasses import fields, replace
from pathlib import Path

from mailward.app.config import Config
from mailward.app.config_file import load_config
from mailward.app.filters import Filters, lists_in_database, load_filters
from mailward.app.relaying import passwords
from mailward.directory import Directory
from mailward.model.errors import ConfigError, StorageError
from mailward.net.own_addresses import is_of_this_host
from mailward.net.tls import server_context
from mailward.policy import Policy
from mailward.policy.nobodys import GROUPS, nobodys

_KEYS = {"dns_servers": "dns", "smtp_processes": "processes", "decisions_kept_s": "decisions"}
"""Of fields that go by another name than their key of mailward.yaml."""
RELOADED = ("policies", "plugins", "tls", "imapsieve")
"""The settings that a reload brings into force; what they name is read again too."""


def ready_config(path: Path) -> Config:
    """The configuration, if a server can run with it. Raises ConfigError that says what to change."""
    try:
        config = load_config(path)
        check_ready(config)
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error
    return config


def check_ready(config: Config) -> Filters:
    """Refuse what others could read or write (T-PRIV-04) and what cannot be used, and say so before any mail is taken."""
    if not config.data.is_dir():
        raise ConfigError(f"the data folder {config.data} does not exist; make it, or run mailward quickstart")
    if not os.access(config.data, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(f"the data folder {config.data} cannot be written by uid {os.geteuid()}; chown it to the service user")
    if config.data.stat().st_mode & 0o077:
        raise ConfigError(f"the data folder {config.data} is open to others; run: chmod 700 {config.data}")
    if config.tls.key.stat().st_mode & 0o077:
        raise ConfigError(f"the private key {config.tls.key} is open to others; run: chmod 600 {config.tls.key}")
    server_context(config.tls.certificate, config.tls.key)
    _check_ways_out(config)
    filters = load_filters(config)
    _check_script_lists(config)
    return filters


def _check_script_lists(config: Config) -> None:
    """A list that no policy has would be empty for ever, and no script would ever find anything on it."""
    known = lists_in_database(config) if config.sieve_lists else {}
    for uri, name in config.sieve_lists.items():
        if name not in known:
            there = f"there are {', '.join(sorted(known))}" if known else "write one with database: true into a policy"
            raise ConfigError(f"{config.path}: sieve_lists.{uri}: no policy has a list {name} that commands keep; {there}")


def _check_ways_out(config: Config) -> None:
    """Addresses to connect from are this machine's, and passwords of smarthosts can be read."""
    password = passwords(config)
    hops = {f"routes.{domain}": hop for domain, hop in config.routes.items() if hop is not None}
    for key, addresses in [("outbound", config.outbound.source), *((key, hop.source) for key, hop in hops.items())]:
        for address in addresses:
            if not is_of_this_host(address):
                raise ConfigError(f"{config.path}: {key}.source: {address} is no address of this machine")
    for key, hop in hops.items():
        if hop.login is not None:
            try:
                password(hop.login.secret)
            except (OSError, ValueError) as error:
                raise ConfigError(f"{config.path}: {key}.password: {error}") from error


def warnings_of(config: Config, policy: Policy) -> tuple[str, ...]:
    """What does not hinder but should be known of a policy: a rule that is left out, what is for a domain that is not ours."""
    found = [*policy.warnings]
    if policy.canaries or policy.overrides or not GROUPS.isdisjoint(policy.reads):
        with suppress(StorageError, OSError):  # who may not read the directory is told the rest
            config.directory_file.stat()  # where there is none, none is made
            with closing(Directory(config.directory_file)) as directory:
                domains = {*directory.domains(), *config.relay_domains}
                found += nobodys(policy, domains, directory.groups())
    return tuple(str(problem) for problem in found)


def idle_routes(config: Config) -> tuple[str, ...]:
    """Domains whose route does nothing, since they are served here."""
    with closing(Directory(config.directory_file)) as directory:
        return tuple(domain for domain in config.routes if directory.is_local_domain(domain))


def settings_waiting(running: Config, wanted: Config) -> tuple[str, ...]:
    """The keys of mailward.yaml that were changed and need a restart."""
    keys = {field.name: _KEYS.get(field.name, field.name) for field in fields(Config)}
    return tuple(key for name, key in keys.items() if name not in RELOADED and getattr(running, name) != getattr(wanted, name))


def reloaded(running: Config, wanted: Config) -> Config:
    """What holds after a reload."""
    return replace(running, **{name: getattr(wanted, name) for name in RELOADED})
