"""Opening files below a folder that is somebody else's: no link, put there at whatever moment, leads out of it.

Who moves mail in may be root, and whose mail it is may write to the folder meanwhile.
"""

import errno
import os
import stat
from pathlib import Path


def open_within(root: Path, path: Path, *, is_folder: bool = False) -> int:
    """A descriptor for reading a file, or a folder, that lies below the root. Raises OSError, ELOOP for what does not."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_DIRECTORY if is_folder else 0)
    descriptor = os.open(path, flags)
    try:
        there = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not there.is_relative_to(root.resolve()):
            raise OSError(errno.ELOOP, "a link leads out of the folder", str(path))
        if not is_folder and not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", str(path))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
