"""Which level holds for a domain? Pure."""

from mailward_plugins.encryption.settings import EncryptionSettings, Level


def level_of(domain: str, settings: EncryptionSettings) -> tuple[Level, str]:
    """The level and the entry it comes from, "default" for none. domain: A-labels in lower case, "" for none.

    The domain's own entry comes before those of its parents, a nearer parent's before a farther one's.
    """
    entry = domain
    while entry:
        if entry in settings.domains:
            return settings.domains[entry], entry
        dot = entry.find(".", 1)
        entry = entry[dot:] if dot > 0 else ""
    return settings.default, "default"
