"""Overrides, canaries and rules for domains whose mail does not come here, or for groups that nobody is in, maybe by a slip."""

from collections.abc import Collection, Iterator

from mailward.formats.nearest import nearest
from mailward.model.errors import Problem
from mailward.policy.policy import Policy
from mailward.policy.scope import PEOPLE_KEYS, PeopleKey, Scope
from mailward.policy.tokens import tokens_of
from mailward.policy.values import Rule

GROUPS = frozenset({"recipient.groups", "identity.groups"})
"""The facts that hold names of groups."""
_LOOKED_FOR = tuple(["in", *fact.partition(".")] for fact in GROUPS)


def nobodys(policy: Policy, domains: Collection[str], groups: Collection[str]) -> list[Problem]:
    """Strangers write to us, and our users write as one of us. domains: ours. groups: those with members."""
    keys: tuple[PeopleKey, ...] = ("recipient",) if policy.direction == "inbound" else ("sender", "identity")
    problems = []
    for path, where, scope in _scopes(policy):
        for key in PEOPLE_KEYS:
            for group in sorted(scope.groups(key).difference(groups)):
                problems.append(_empty(where, f"{path}.for.{key}", group, groups))
        for key in keys:
            for domain in sorted(scope.domains(key).difference(domains)):
                text = f"'{domain}' is no domain of ours: it counts for nobody there"
                hint = nearest(domain, domains) or "mailward domain list shows them."
                problems.append(Problem(where, f"{path}.for.{key}", text, hint))
    for rule in policy.all_rules:
        problems += [_empty(rule.where, f"rules.{rule.name}", group, groups) for group in _asked(rule) if group not in groups]
    return problems


def _empty(where: str, path: str, group: str, groups: Collection[str]) -> Problem:
    return Problem(where, path, f"nobody is in the group '{group}'", nearest(group, groups) or "mailward group list shows them.")


def _asked(rule: Rule) -> Iterator[str]:
    """The groups that a condition looks for: "finance" in recipient.groups."""
    tokens, _ = tokens_of(rule.when.source)
    for at, token in enumerate(tokens):
        if token.kind == "text" and [one.text for one in tokens[at + 1 : at + 5]] in _LOOKED_FOR:
            yield token.literal


def _scopes(policy: Policy) -> Iterator[tuple[str, str, Scope]]:
    """Of each its path, its place and for what it is."""
    for override in policy.overrides:
        yield f"overrides.{override.name}", override.where, override.scope
    for canary in policy.canaries:
        yield f"{canary.kind}s.{canary.name}", canary.where, canary.scope
