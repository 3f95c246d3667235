"""What a mailbox may be called. Names are UTF-8 in NFC with "/" between levels; modified UTF-7 exists only in IMAP's parser."""

import unicodedata

from mailward.formats.mailbox_names import INBOX, SEPARATOR, problem_of_name
from mailward.store.refusals import NotPermitted


def normalise_name(name: str) -> str:
    """The name in the form it is kept and compared in.

    One trailing "/" is dropped (RFC 9051 section 6.3.4: the client will make names below it); INBOX in any case becomes
    "INBOX", also as the first level. Raises NotPermitted for a name that cannot exist.
    """
    levels = unicodedata.normalize("NFC", name).removesuffix(SEPARATOR).split(SEPARATOR)
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    name = SEPARATOR.join(levels)
    if problem := problem_of_name(name):
        raise NotPermitted(problem)
    return name


def parents(name: str) -> list[str]:
    """The names above this one, from the top."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:n]) for n in range(1, len(levels))]
