"""A source in a process of its own, which keeps the rights of whoever began it when this one gives its rights up.

So root can move in mail that only root and its owner can read, though it is stored by the user the server works as.
"""

import contextlib
import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Literal

from mailward.app.moving.source import Folder, Letter, Listing, Ref, Source, SourceError

_Asked = tuple[Literal["folders"]] | tuple[Literal["listing"], Folder] | tuple[Literal["fetch"], Folder, Sequence[Ref]]
_Answer = list[Folder] | Listing | list[Letter] | SourceError


class Apart:
    """Make it before rights are given up. Is a `Source` itself."""

    def __init__(self, source: Source) -> None:
        context = multiprocessing.get_context("fork")
        self._end, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(source, self._end, far_end), daemon=True)
        self._process.start()
        far_end.close()

    def folders(self) -> list[Folder]:
        found = self._asked(("folders",))
        assert isinstance(found, list)
        return [one for one in found if isinstance(one, Folder)]

    def listing(self, folder: Folder) -> Listing:
        found = self._asked(("listing", folder))
        assert isinstance(found, Listing)
        return found

    def fetch(self, folder: Folder, refs: Sequence[Ref]) -> list[Letter]:
        found = self._asked(("fetch", folder, refs))
        assert isinstance(found, list)
        return [one for one in found if isinstance(one, Letter)]

    def _asked(self, what: _Asked) -> _Answer:
        try:
            self._end.send(what)
            answer: _Answer = self._end.recv()
        except (EOFError, OSError) as error:
            raise SourceError("the process that reads the mail has ended; run the command again to go on") from error
        if isinstance(answer, SourceError):
            raise answer
        return answer

    def close(self) -> None:
        self._end.close()  # which ends the other process: it may be root's, and then we could not
        self._process.join()


def _serve(source: Source, other_end: Connection, end: Connection) -> None:
    other_end.close()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        while True:
            asked: _Asked = end.recv()
            end.send(_answer(source, asked))


def _answer(source: Source, asked: _Asked) -> _Answer:
    try:
        match asked:
            case ("folders",):
                return source.folders()
            case ("listing", folder):
                return source.listing(folder)
            case ("fetch", folder, refs):
                return source.fetch(folder, refs)
    except SourceError as error:
        return error
    except OSError as error:
        return SourceError(f"cannot read {error.filename}: {error.strerror}")
