"""Spam: does this message look like what people here have called spam, and is its shape odd?"""

from hashlib import blake2b

from mailward.api import (
    AddHeader,
    Evidence,
    Finding,
    MessageClassified,
    MessageMoved,
    MessageView,
    Plugin,
    RemoveHeader,
    Services,
    Symbol,
    hookimpl,
)
from mailward_plugins.spam.bayes import counts, probability
from mailward_plugins.spam.rules import signs
from mailward_plugins.spam.settings import SpamFacts, SpamSettings
from mailward_plugins.spam.tokens import tokens_of

plugin = Plugin(
    api=1,
    summary="Learns from people what spam is, and notices odd shapes",
    settings=SpamSettings,
    facts=SpamFacts,
    symbols={
        "BAYES_SPAM": Symbol(6.0, "The words are those of learnt spam"),
        "BAYES_HAM": Symbol(-3.0, "The words are those of learnt ham"),
        "MISSING_FROM": Symbol(2.0, "No readable From field"),
        "MISSING_DATE": Symbol(1.0, "No Date field"),
        "MISSING_MESSAGE_ID": Symbol(1.0, "No Message-ID field"),
        "ODD_MESSAGE_ID": Symbol(0.8, "A Message-ID that software would not write"),
        "MISSING_TO": Symbol(0.5, "Nobody in To or Cc"),
        "MANY_RECIPIENTS": Symbol(0.5, "Many recipients in To and Cc"),
        "SUBJECT_SHOUTS": Symbol(1.0, "The subject is all capitals"),
        "FROM_NAME_IS_ADDRESS": Symbol(1.5, "The name in From looks like another mail address"),
        "HTML_ONLY": Symbol(0.5, "HTML text only"),
        "GTUBE": Symbol(1000.0, "The GTUBE test string"),
    },
    capabilities=("body", "edits"),
)

TOTALS = b"totals"
"""The counter of lessons: (spam, ham)."""


@hookimpl
async def inspect_message(message: MessageView, settings: SpamSettings, services: Services) -> list[Finding]:
    """One finding on the words, and one for each odd sign."""
    tokens = await services.run_blocking(lambda: tokens_of(message))
    shape = await services.run_blocking(lambda: list(signs(message)))
    return [await _words(tokens, settings, services), *(Finding(symbol, text) for symbol, text in shape)]


async def _words(tokens: frozenset[bytes], settings: SpamSettings, services: Services) -> Finding:
    seen = dict(await services.kv.counters([TOTALS, *tokens]))
    spam, ham = (*seen.pop(TOTALS, ()), 0, 0)[:2]
    if min(spam, ham) < settings.learn_first:
        facts = SpamFacts(learnt=spam + ham)
        text = f"{spam} spam and {ham} ham learnt; from {settings.learn_first} of each it judges words"
        return Finding(None, text, facts=facts)
    found = probability(seen, spam, ham)
    facts = SpamFacts(round(found, 4), spam + ham)
    text = f"probability {found:.2f}"
    if found >= settings.spam_from:
        return Finding("BAYES_SPAM", text, strength=_strength(found, settings.spam_from, 1.0), facts=facts)
    if found <= settings.ham_up_to:
        return Finding("BAYES_HAM", text, strength=_strength(found, settings.ham_up_to, 0.0), facts=facts)
    return Finding(None, text, facts=facts)


def _strength(found: float, begins: float, extreme: float) -> float:
    """0.5 where a symbol begins to 1 at the extreme."""
    return round(0.5 + 0.5 * (found - begins) / (extreme - begins), 2) if extreme != begins else 1.0


@hookimpl
def edit_message(evidence: Evidence, settings: SpamSettings) -> tuple[RemoveHeader, AddHeader] | None:
    """Say in the header what was found, for people's own filters; what the sender says of it there goes (T-HDR-23)."""
    if not settings.header:
        return None
    symbols = sorted({f.symbol for name, f in evidence.findings if name == "spam" and f.symbol})
    probability_text = evidence.value("spam", "probability") or "0.5"
    status = f"probability={probability_text}; symbols={','.join(symbols) or 'none'}"
    return RemoveHeader("X-Spam-Status"), AddHeader("X-Spam-Status", status)


@hookimpl
async def on_moved(moved: MessageMoved, settings: SpamSettings, services: Services) -> None:
    """Into Junk is a lesson in spam, out of it one in ham; out of it into Trash is neither (it may be either)."""
    if not settings.learn_from_moves or moved.source_is_junk == moved.target_is_junk:
        return
    if moved.source_is_junk and moved.target_is_trash:
        return
    await learn(MessageView(moved.octets), spam=moved.target_is_junk, services=services)


@hookimpl
async def on_classified(classified: MessageClassified, settings: SpamSettings, services: Services) -> None:
    """What a person says outright is a lesson, whatever `learn_from_moves` says; a keyword may be a program's guess."""
    if classified.by == "keyword" and not settings.learn_from_keywords:
        return
    await learn(MessageView(classified.octets), spam=classified.kind == "spam", services=services)


async def learn(message: MessageView, *, spam: bool, services: Services) -> None:
    """Learn a message as spam or ham; the opposite lesson, if it was learnt, is taken back (T-PLUG-13: never counted twice)."""
    lesson = b"lesson:" + _lesson_key(message)
    wanted = b"spam" if spam else b"ham"
    known = (await services.kv.get_many([lesson])).get(lesson)
    if known == wanted:
        return
    tokens = await services.run_blocking(lambda: tokens_of(message))
    taken_back = -1 if known is not None else 0
    amounts = counts([TOTALS, *tokens], spam=1 if spam else taken_back, ham=taken_back if spam else 1)
    await services.kv.add_many(amounts)
    await services.kv.put_many({lesson: wanted})
    services.log.info("learnt", kind=wanted.decode(), tokens=len(tokens))


def _lesson_key(message: MessageView) -> bytes:
    """Names the mail by what does not change when it is delivered or moved: Message-ID, Subject and the octets of the body."""
    digest = blake2b(digest_size=16)
    for value in (message.message_id.encode("utf-8", "replace"), message.subject.encode("utf-8", "replace"), message.body_octets):
        digest.update(len(value).to_bytes(8, "big") + value)
    return digest.digest()
