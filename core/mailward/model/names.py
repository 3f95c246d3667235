"""Which names may people give to rules, overrides, lists and groups? One pattern, since policies and commands share them."""

import re

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
NAME_WORDS = "1 to 64 letters, digits, '-' and '_', the first a letter or digit"

_NAME = re.compile(NAME_PATTERN.removesuffix("$"))


def is_name(text: str) -> bool:
    """Does it fit the pattern, and nothing behind it?"""
    return _NAME.fullmatch(text) is not None
