"""What an admin may set for the subaddress plugin."""

from dataclasses import dataclass

from mailward.api import Settings

MOST_FOLDERS = 1000


@dataclass(frozen=True)
class SubaddressSettings(Settings):
    """create: make a folder that is missing. most_folders: as long as the account has no more than this, its usual ones included.

    never: further folders that no address may choose, such as those with names of another language.
    """

    create: bool = False
    most_folders: int = 50
    never: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.most_folders <= MOST_FOLDERS:
            raise ValueError(f"most_folders must be 1 to {MOST_FOLDERS}")
