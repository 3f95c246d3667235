"""What a verdict rests on, each ground as one word: the same in decision records, in mailward.yaml, in the quarantine's index and
on the command line.

"limits" (the score was too high), "rule:NAME", "plugin:NAME" (a plugin whose objection is heeded whatever the score),
"failed:NAME" (a plugin that could not look), and "limits.reject", beside "limits": the score is one that is refused.
"""

LIMITS = "limits"
REFUSED_SCORE = "limits.reject"


def of_rule(name: str) -> str:
    return f"rule:{name}"


def of_plugin(name: str) -> str:
    return f"plugin:{name}"


def of_failed(name: str) -> str:
    return f"failed:{name}"


def is_cause(word: str) -> bool:
    """Can a message be kept by it alone, whether or not there is a rule or a plugin of that name?"""
    kind, _, name = word.partition(":")
    return word == LIMITS or (kind in ("rule", "plugin", "failed") and bool(name))


def in_words(word: str) -> str:
    """For people: "rule odd" ..."""
    kind, _, name = word.partition(":")
    if kind == "failed":
        return f"plugin {name}, which failed"
    return {LIMITS: "its score", REFUSED_SCORE: "its score, at which mail is refused"}.get(word, f"{kind} {name}")
