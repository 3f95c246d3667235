"""What may a script be called? (RFC 5804 section 1.6)"""

import re

MOST_OCTETS = 512
"""At least 128 characters must be possible."""
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")


def is_name(text: str) -> bool:
    """Can a script have this name?"""
    return 0 < len(text.encode("utf-8", "surrogatepass")) <= MOST_OCTETS and not _CONTROL.search(text)
