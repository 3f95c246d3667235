"""Which folder an address may choose, and which never, whatever a stranger writes behind the "+"."""

import pytest

from mailward.api import FolderChoice
from mailward.testing import CallHook, make_delivery
from mailward_plugins import subaddress
from mailward_plugins.subaddress.rules import NEVER

FOLDERS = ["lists", "Work", "Work/Bills", "a.b", "INBOX/Shop", "Health Reports", "Gärten", "Twice", "TWICE", "Trash/old"]


@pytest.mark.parametrize(
    ("detail", "folder"),
    [
        ("lists", "lists"),
        ("LISTS", "lists"),  # senders change the case of addresses
        ("work", "Work"),
        ("work/bills", "Work/Bills"),
        ("work.bills", "Work/Bills"),
        ("a.b", "a.b"),
        ("shop", "INBOX/Shop"),
        ("INBOX.shop", "INBOX/Shop"),
        ("health_reports", "Health Reports"),
        ("Health Reports", "Health Reports"),
        ("GÄRTEN", "Gärten"),
        ("ga\u0308rten", "Gärten"),
        ("Twice", "Twice"),  # of several the one of just this name
        ("TWICE", "TWICE"),
    ],
)
def test_a_detail_means_the_folder_that_is_called_so(call_hook: CallHook, detail: str, folder: str) -> None:
    delivery = make_delivery(f"bob+{detail}@example.org", FOLDERS)
    assert call_hook(subaddress, "provide_folder", delivery=delivery) == FolderChoice(folder, f"+{delivery.detail}")


@pytest.mark.parametrize("name", ["\u0645\u06cc\u200c\u062e", "\U0001f468\u200d\U0001f4bb"], ids=["Persian", "emoji"])
def test_invisible_characters_belong_to_names_and_are_not_shown(call_hook: CallHook, name: str) -> None:
    delivery = make_delivery(f"bob+{name}@example.org", [*FOLDERS, name])
    shown = name.replace("\u200c", " ").replace("\u200d", " ")
    assert call_hook(subaddress, "provide_folder", delivery=delivery) == FolderChoice(name, f"+{shown}")


@pytest.mark.parametrize(
    ("detail", "why"),
    [
        ("nothing", "there is no such folder"),
        ("twice", "that may be TWICE or Twice"),
        ("../lists", "there is no such folder"),
        ("work/", "there is no such folder"),
        ("list*", "there is no such folder"),
    ],
)
def test_what_means_no_folder_is_inbox_with_the_reason(call_hook: CallHook, detail: str, why: str) -> None:
    delivery = make_delivery(f"bob+{detail}@example.org", FOLDERS)
    assert call_hook(subaddress, "provide_folder", delivery=delivery) == FolderChoice("INBOX", f"+{detail}: {why}")


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    "detail",
    [
        *("INBOX", "inbox", "Junk", "TRASH", "sent", "Drafts", "archive", "INBOX/junk", "inbox.Trash", "Trash/old", "trash.old"),
        *(name.lower().replace(" ", "_") for name in NEVER),
        *("Corbeille", "corbeille", "papierkorb", "papierkorb/x"),
        *(
            "[gmail].spam",
            "[Gmail]/Spam",
            "[gmail]/sent_mail",
            "[gmail].papierkorb",
            "[gmail]/trash/old",
            "inbox.[gmail].corbeille",
        ),
    ],
)
def test_a_stranger_never_chooses_inbox_junk_trash_and_their_like(call_hook: CallHook, detail: str, create: bool) -> None:
    folders = [
        *FOLDERS,
        "Spam",
        "Sent Items",
        "Papierkorb",
        "Papierkorb/x",
        "[Gmail]/Spam",
        "[Gmail]/Papierkorb",
        "[Gmail]/Trash/old",
    ]
    delivery = make_delivery(f"bob+{detail}@example.org", folders, special_uses={"Corbeille": "\\Trash"})
    settings = {"create": create, "never": ["Papierkorb"]}
    chosen = call_hook(subaddress, "provide_folder", settings=settings, delivery=delivery)
    assert chosen == FolderChoice("INBOX", f"+{detail}: no address may choose that folder")


def test_mail_without_a_detail_is_not_its_business(call_hook: CallHook) -> None:
    for address in ("bob@example.org", "bob+@example.org"):
        assert call_hook(subaddress, "provide_folder", delivery=make_delivery(address, FOLDERS)) is None


def test_a_new_folder_is_made_only_where_the_admin_says_so_and_has_a_bounded_plain_name(call_hook: CallHook) -> None:
    def chosen(detail: str) -> FolderChoice:
        delivery = make_delivery(f"bob+{detail}@example.org", FOLDERS)
        made = call_hook(subaddress, "provide_folder", settings={"create": True, "most_folders": 20}, delivery=delivery)
        assert isinstance(made, FolderChoice)
        return made

    assert chosen("Shoes") == FolderChoice("shoes", "+Shoes", make_up_to=20)
    assert chosen("lists").make_up_to == 0
    for detail in ("x" * 41, "q/b", "q.b", "schön", "-rf", "a b", "%61", "paypal\u0430"):
        assert chosen(detail) == FolderChoice("INBOX", f"+{detail}: there is no such folder")
