"""One POP3 session an account (RFC 1939 section 4), across processes: a lock that ends with whoever holds it, even by SIGKILL."""

from pathlib import Path

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId


class Lease:
    """An account's maildrop, held until `release`."""

    def __init__(self, path: Path, disk: Disk, fd: int) -> None:
        self._path = path
        self._disk = disk
        self._fd: int | None = fd

    def release(self) -> None:
        """Give it back; again does nothing. The file goes while it is still locked, so nobody else's is ever removed."""
        fd, self._fd = self._fd, None
        if fd is not None:
            try:
                self._disk.unlink(self._path)
            except OSError:  # a file that stays is no lock: the next session takes it as it is
                pass
            finally:
                self._disk.close(fd)


class Leases:
    """Who has which maildrop open; one file an account in a folder of their own."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk

    def take(self, account: AccountId) -> Lease | None:
        """None when another session has it. Raises StorageError."""
        path = self._folder / f"{account}.lock"
        try:
            self._disk.mkdir(self._folder)
            for _ in range(2):  # again when the lock was given back, and its file removed, just between opening and locking
                fd = self._disk.open_append(path)
                if self._disk.lock(fd):
                    return Lease(path, self._disk, fd)
                self._disk.close(fd)
        except OSError as error:
            raise StorageError(f"{path}: {error}") from error
        return None
