"""The facts that the ambiguity plugin gives to policies."""

from dataclasses import dataclass

from mailward.api import Facts


@dataclass(frozen=True)
class AmbiguityFacts(Facts):
    """mime: a part has other content for another reader. author: From names nobody, or not the same to everybody.

    beyond_budget: not all of it was read. fragment: a piece of a message, or one whose content lies elsewhere.
    encrypted: only its recipient can read it, so no scanner did.
    """

    mime: bool = False
    author: bool = False
    beyond_budget: bool = False
    fragment: bool = False
    encrypted: bool = False
