"""What an admin may set for the spam plugin, and the facts it gives to policies."""

from dataclasses import dataclass

from mailward.api import Facts, Settings


@dataclass(frozen=True)
class SpamSettings(Settings):
    """learn_first: so many mails of each kind must have been learnt before the classifier says anything.

    spam_from, ham_up_to: probabilities from which, and up to which, it says so. header: add X-Spam-Status to what is delivered.
    learn_from_moves: learn when a person moves a mail into Junk or out of it.
    learn_from_keywords: learn when a mail program stores $Junk, $NotJunk or their older names. Off, for some store what their own
    filter guesses of new mail, and what that misses would be learnt as ham.
    """

    learn_first: int = 30
    spam_from: float = 0.8
    ham_up_to: float = 0.2
    header: bool = True
    learn_from_moves: bool = True
    learn_from_keywords: bool = False


@dataclass(frozen=True)
class SpamFacts(Facts):
    """probability: 0 (ham) to 1 (spam), 0.5 when nothing is known. learnt: how many mails stand behind it."""

    probability: float = 0.5
    learnt: int = 0
