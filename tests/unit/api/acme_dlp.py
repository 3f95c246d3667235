"""Payment-card numbers in the text of a message."""
import re
from dataclasses import dataclass
from mailward.api import Facts, Finding, MessageView, Plugin, Settings, Symbol, hookimpl

@dataclass(frozen=True)
class DlpSettings(Settings):
    at_least: int = 1                                    # plugins: {acme_dlp: {at_least: 2}}

@dataclass(frozen=True)
class DlpFacts(Facts):
    cards: int = 0                                       # when: acme_dlp.cards > 5

plugin = Plugin(api=1, summary="Finds payment-card numbers", settings=DlpSettings, facts=DlpFacts,
                symbols={"ACME_DLP_CARDS": Symbol(3.0, "The text holds payment-card numbers")})

@hookimpl
def inspect_message(message: MessageView, settings: DlpSettings) -> Finding | None:
    cards = sum(len(re.findall(r"\b(?:\d[ -]?){13,16}\b", part.text)) for part in message.texts())
    if cards < settings.at_least:
        return None
    return Finding("ACME_DLP_CARDS", f"{cards} payment-card numbers in the text", facts=DlpFacts(cards=cards))
