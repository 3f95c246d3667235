"""The mail of all accounts, opened in one way: by the server's roles, and by commands beside a running server."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from mailward.app.config import Config
from mailward.directory import Directory
from mailward.disk import Disk
from mailward.store.changes import Hints
from mailward.store.embedded import EmbeddedStore


def store_of(config: Config, directory: Directory, hints: Hints) -> EmbeddedStore:
    """As the configuration and the directory want it; who watches hears of changes by the hints."""
    return EmbeddedStore(
        config.data / "accounts", Disk(), hints, limits_of=directory.limits_of, expunged_kept_s=config.expunged_kept_s
    )


@contextmanager
def opened_store(config: Config) -> Iterator[EmbeddedStore]:
    """The same with a directory and hints of its own."""
    with (
        closing(Directory(config.directory_file)) as directory,
        closing(Hints(config.data / "hints")) as hints,
        closing(store_of(config, directory, hints)) as store,
    ):
        yield store
