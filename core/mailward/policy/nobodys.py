"""Overrides and canaries for domains whose mail does not come here, or for groups that nobody is in, maybe by a slip."""

from collections.abc import Collection, Iterator

from mailward.model.errors import Problem
from mailward.policy.facts import nearest
from mailward.policy.policy import Policy
from mailward.policy.scope import PEOPLE_KEYS, PeopleKey, Scope


def nobodys(policy: Policy, domains: Collection[str], groups: Collection[str]) -> list[Problem]:
    """Strangers write to us, and our users write as one of us. domains: ours. groups: those with members."""
    keys: tuple[PeopleKey, ...] = ("recipient",) if policy.direction == "inbound" else ("sender", "identity")
    problems = []
    for path, where, scope in _scopes(policy):
        for key in PEOPLE_KEYS:
            for group in sorted(scope.groups(key).difference(groups)):
                hint = nearest(group, groups) or "mailward group list shows them."
                problems.append(Problem(where, f"{path}.for.{key}", f"nobody is in the group '{group}'", hint))
        for key in keys:
            for domain in sorted(scope.domains(key).difference(domains)):
                text = f"'{domain}' is no domain of ours: it counts for nobody there"
                hint = nearest(domain, domains) or "mailward domain list shows them."
                problems.append(Problem(where, f"{path}.for.{key}", text, hint))
    return problems


def _scopes(policy: Policy) -> Iterator[tuple[str, str, Scope]]:
    """Of each its path, its place and for what it is."""
    for override in policy.overrides:
        yield f"overrides.{override.name}", override.where, override.scope
    for canary in policy.canaries:
        yield f"{canary.kind}s.{canary.name}", canary.where, canary.scope
