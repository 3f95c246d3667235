"""What does a policy know of a recipient for whom no session asks? It is taken as one of ours, in the groups of this moment."""

from collections.abc import Sequence
from contextlib import closing

from mailward.app.config import Config
from mailward.directory import Directory
from mailward.model.address import ForwardPath
from mailward.policy import RecipientFacts


def recipients_of(config: Config, paths: Sequence[ForwardPath]) -> list[RecipientFacts]:
    """Their facts, in this order. Where there is no directory, none is made. Raises StorageError."""
    if not config.directory_file.exists():
        return [RecipientFacts.of(path) for path in paths]
    with closing(Directory(config.directory_file)) as directory:
        return [RecipientFacts.of(path, groups=directory.groups_behind(path.address)) for path in paths]
