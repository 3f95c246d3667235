"""Ambiguity: could another reader find something else in this message than we do?"""

from mailward.api import Finding, MessageView, Plugin, Symbol, hookimpl
from mailward_plugins.ambiguity.rules import observe
from mailward_plugins.ambiguity.settings import AmbiguityFacts

plugin = Plugin(
    api=1,
    summary="Reports mail that readers take differently: its parts, its authors, and what is too much to be read",
    facts=AmbiguityFacts,
    symbols={
        "AMBIGUOUS_MIME": Symbol(4.0, "A part has other content for another reader"),
        "ODD_MIME": Symbol(0.5, "The structure breaks a rule, though all readings agree"),
        "AMBIGUOUS_AUTHOR": Symbol(4.0, "From names different authors to different readers"),
        "MISSING_AUTHOR": Symbol(0.0, "From names nobody; dmarc and spam have points for it"),
        "ODD_AUTHOR": Symbol(1.0, "From is odd, though all readings agree on the author"),
        "DUPLICATE_FIELD": Symbol(0.5, "A header field stands more than once that may stand once"),
        "BEYOND_BUDGET": Symbol(3.0, "The message is larger or deeper than is read"),
        "MESSAGE_FRAGMENT": Symbol(2.0, "It is a piece of a message, or says where its content lies"),
        "ENCRYPTED_CONTENT": Symbol(0.0, "Only the recipient can read it, so no scanner did"),
    },
    capabilities=("body",),
)


@hookimpl
def inspect_message(message: MessageView) -> list[Finding]:
    """One finding for each kind of ambiguity, or one that says that there is none."""
    observed = observe(message)
    symbols = {observation.symbol for observation in observed}
    facts = AmbiguityFacts(
        mime="AMBIGUOUS_MIME" in symbols,
        author=bool(symbols & {"AMBIGUOUS_AUTHOR", "MISSING_AUTHOR"}),
        beyond_budget="BEYOND_BUDGET" in symbols,
        fragment="MESSAGE_FRAGMENT" in symbols,
        encrypted="ENCRYPTED_CONTENT" in symbols,
    )
    if not observed:
        return [Finding(None, "no reader finds other parts or authors in it", facts=facts)]
    return [Finding(each.symbol, each.text, facts=facts, asks=each.asks) for each in observed]
