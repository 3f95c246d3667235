"""Subaddresses: mail for bob+lists@example.org goes into bob's folder "lists"."""

from mailward.api import Delivery, FolderChoice, Plugin, hookimpl
from mailward_plugins.subaddress.rules import Found, NoFolder, find
from mailward_plugins.subaddress.settings import SubaddressSettings

plugin = Plugin(
    api=1,
    summary="Puts mail for user+folder into that folder of the user's",
    settings=SubaddressSettings,
    capabilities=("edits",),
)


@hookimpl(inline=True)
def provide_folder(delivery: Delivery, settings: SubaddressSettings) -> FolderChoice | None:
    """INBOX, with the reason, where the address names no folder that it may choose, so that `explain` can tell."""
    if not delivery.detail:
        return None
    match find(delivery.detail, delivery.folders, settings.never):
        case Found(name):
            return FolderChoice(name, f"+{delivery.detail}")
        case NoFolder(why, new_name):
            if new_name and settings.create:
                return FolderChoice(new_name, f"+{delivery.detail}", make_up_to=settings.most_folders)
            return FolderChoice("INBOX", f"+{delivery.detail}: {why}")
