"""Policy YAML becomes one verdict per recipient: load and check once, then judge without I/O (layer 3)."""

from mailward.policy.directions import DIRECTIONS, RULES, Direction
from mailward.policy.load import lists_kept, load_policy, load_preset, plugins_named, plugins_of_preset
from mailward.policy.policy import Case, Policy
from mailward.policy.ruling import Outcome, RecipientFacts, Ruling, combine
from mailward.policy.stages import STAGES, Stage
from mailward.policy.tests import PolicyTest, TestResult, differences_of, eicar, live_message
from mailward.policy.values import PluginPolicy, Rule, View

__all__ = [
    "DIRECTIONS",
    "RULES",
    "STAGES",
    "Case",
    "Direction",
    "Outcome",
    "PluginPolicy",
    "Policy",
    "PolicyTest",
    "RecipientFacts",
    "Rule",
    "Ruling",
    "Stage",
    "TestResult",
    "View",
    "combine",
    "differences_of",
    "eicar",
    "lists_kept",
    "live_message",
    "load_policy",
    "load_preset",
    "plugins_named",
    "plugins_of_preset",
]
