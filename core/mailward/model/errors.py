"""The exception tree. Values before text: each class carries what a caller needs to act and what an admin needs to mend.

Whatever is not one of these is an unforeseen failure and counts as temporary: 451 4.3.0, details to the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class MailwardError(Exception):
    """Base of all our own exceptions."""


class ConfigError(MailwardError):
    """mailward.yaml, or what it points to, is wrong; the text says where and how to mend it (exit code 78)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a policy or configuration file.

    where: "policies/inbound.yaml:14:9". path: "rules[2].when". text: what is wrong and what was expected.
    hint: the nearest known name or the way to mend it, "" when there is none.
    """

    where: str
    path: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        head = f"{self.where}  {self.path}: {self.text}" if self.path else f"{self.where}  {self.text}"
        return f"{head}\n    {self.hint}" if self.hint else head


class PolicyError(ConfigError):
    """A policy that cannot be used, with every problem found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = tuple(problems)


class PluginError(ConfigError):
    """A plugin cannot be loaded or does not keep the API's rules."""

    def __init__(self, plugin: str, text: str) -> None:
        super().__init__(f"plugin '{plugin}': {text}")
        self.plugin = plugin


class PeerError(MailwardError):
    """The peer broke the protocol; `reply_octets` is what to send before closing, b"" for nothing."""

    def __init__(self, text: str, reply_octets: bytes = b"") -> None:
        super().__init__(text)
        self.reply_octets = reply_octets


class StorageError(MailwardError):
    """Spool, store or another file could not be read or written. permanent: trying again will not help."""

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent


class HooksUnavailable(MailwardError):
    """A plugin whose answer is needed failed. plugin, hook: whose and which. permanent: trying later will not help."""

    def __init__(self, plugin: str, hook: str, reason: str, *, permanent: bool = False) -> None:
        super().__init__(f"{hook} of {plugin} failed: {reason}")
        self.reason = reason
        self.permanent = permanent
        self.plugin = plugin
        self.hook = hook


class LoginUnavailable(MailwardError):
    """Whether a login is good cannot be told now; trying later may help. Says nothing about the account."""


class LocalError(MailwardError):
    """Misuse by our own code."""
