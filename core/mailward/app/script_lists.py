"""Which lists may Sieve scripts ask? Those that mailward.yaml names for them."""

from mailward.app.config import Config
from mailward.delivery.script_lists import ScriptLists
from mailward.lists import ListStore


def script_lists(config: Config) -> ScriptLists:
    return ScriptLists(config.sieve_lists, ListStore(config.lists_file))
