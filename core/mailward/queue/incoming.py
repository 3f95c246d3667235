"""A message while it is being received: in memory while it is small, in a file of its own above that.

It becomes mail we answer for only in `commit`; until then a crash or `abort` leaves nothing that counts.
"""

import asyncio
import contextlib
import mmap
import zlib
from collections.abc import Callable
from pathlib import Path

from mailward.disk import Disk
from mailward.model.errors import LocalError, StorageError
from mailward.model.ids import QueueId
from mailward.queue.item import QueueItem
from mailward.queue.jobs import Commit
from mailward.queue.recipient import OpenRecipient, State
from mailward.queue.segment import ATTEMPTS_TO_CREATE, PART_SUFFIX
from mailward.queue.writer import complete


class Incoming:
    """One message on its way into the spool. Used by one task; `write` and `octets` block only for large messages.

    size_octets: how much was written so far.
    """

    def __init__(
        self,
        queue_id: QueueId,
        folder: Path,
        disk: Disk,
        in_memory_octets: int,
        submit: Callable[[Commit], None],
        forsake: Callable[[QueueId], None],
        *,
        kept: bool = False,
    ) -> None:
        self.id = queue_id
        self.size_octets = 0
        self.body_crc = 0
        self.part: Path | None = None
        self._fd = -1
        self._folder = folder
        self._disk = disk
        self._in_memory_octets = in_memory_octets
        self._submit = submit
        self._forsake = forsake
        self._kept = kept
        self._chunks: list[bytes] = []
        self._octets: bytes | mmap.mmap | None = None
        self._ended = False

    @property
    def is_on_disk(self) -> bool:
        """It outgrew the memory it may take."""
        return self.part is not None

    def write(self, octets: bytes) -> None:
        """Append to the message. Raises StorageError; then the message can only be aborted."""
        if self._octets is not None or self._ended:
            raise LocalError("written to after the last write")
        self.size_octets += len(octets)
        if self.part is None and self.size_octets <= self._in_memory_octets:
            self._chunks.append(octets)
            return
        try:
            if self.part is None:
                self._open_part()
            self._chunks.append(octets)
            self._disk.write(self._fd, self._chunks)
        except OSError as error:
            raise StorageError(f"spool: {error}") from error
        for chunk in self._chunks:
            self.body_crc = zlib.crc32(chunk, self.body_crc)
        self._chunks = []

    def _open_part(self) -> None:
        """A file of our own; one that a recovery saw before it was locked is the recovery's, and another takes its place."""
        for attempt in range(ATTEMPTS_TO_CREATE):
            path = self._folder / f"{self.id}{f'.{attempt}' if attempt else ''}{PART_SUFFIX}"
            fd = self._disk.create_exclusive(path)
            if self._disk.lock(fd):
                self._fd, self.part = fd, path
                return
            self._disk.close(fd)
        raise StorageError(f"spool: {self.id}{PART_SUFFIX} was taken for a leftover {ATTEMPTS_TO_CREATE} times")

    @property
    def octets(self) -> bytes | mmap.mmap:
        """The whole message, after the last write."""
        if self._octets is None:
            if self.part is None:
                self._octets = b"".join(self._chunks)
                self._chunks = []
                self.body_crc = zlib.crc32(self._octets)
            else:
                self._octets = self._disk.map(self._fd)
        return self._octets

    async def commit(self, item: QueueItem) -> None:
        """Answer for the message: when this returns, octets and item survive a power cut.

        Raises StorageError: then it must not be acknowledged (a crash may still let it be delivered, RFC 1047).
        """
        if self._ended or item.id != self.id or not item.recipients:
            raise LocalError(f"{self.id}: committed twice, for nobody, or with the item of another message")
        octets = self.octets
        self._ended = True
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        meta = item.to_json().encode("ascii")
        if isinstance(octets, bytes):
            crc, states = self.body_crc, self._open(item)
            self._submit(Commit(self.id, meta, [octets], len(octets), crc, states, (loop, done)))
        else:
            job = Commit(
                self.id,
                meta,
                [],
                self.size_octets,
                self.body_crc,
                self._open(item),
                (loop, done),
                large=self.part,
                part_fd=self._fd,
            )
            loop.run_in_executor(None, self._sync_and_submit, job)
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            done.add_done_callback(self._forsaken)
            raise
        finally:
            self._give_back()

    def _sync_and_submit(self, job: Commit) -> None:
        """The large file first, on a thread of its own, so that it holds up nobody else's commit."""
        try:
            self._disk.sync(self._fd)
            self._submit(job)
        except BaseException as error:  # noqa: BLE001  # a waiter left without an answer would wait for ever
            complete([job.waiter], StorageError(f"spool: {error!r}"))
            self._drop_part()

    def _forsaken(self, done: "asyncio.Future[None]") -> None:
        """The task that waited is gone, so nobody will deliver the message: leave it to the queue process."""
        if done.exception() is None:
            self._forsake(self.id)

    def abort(self) -> None:
        """Forget the message; no error when it was committed or aborted before."""
        if not self._ended:
            self._ended = True
            self._chunks = []
            self._give_back()
            self._drop_part()

    def _give_back(self) -> None:
        """The memory that a map of the message takes; who still reads it gets it from the file again."""
        if isinstance(self._octets, mmap.mmap):
            self._octets.madvise(mmap.MADV_DONTNEED)

    def _open(self, item: QueueItem) -> list[OpenRecipient]:
        state = State.WAITING if self._kept else State.ACCEPTED
        return [OpenRecipient(recipient.route, state) for recipient in item.recipients]

    def _drop_part(self) -> None:
        if self.part is not None:
            drop_part(self._disk, self.part, self._fd)


def drop_part(disk: Disk, part: Path, fd: int) -> None:
    """Delete the file of a large message that did not come to be; what stays behind is dropped by the next recovery."""
    with contextlib.suppress(OSError):
        disk.unlink(part)
    disk.unlock(fd)  # a map of it that is still in use has its own descriptor of the same lock
    disk.close(fd)
