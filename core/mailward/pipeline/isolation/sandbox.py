"""What may the process of a plugin do? As little as its capabilities ask for, held to by the kernel (Linux).

Limits of memory and files everywhere; that no privilege is gained, no program started, no process made, and no other one traced,
signalled or slowed down by seccomp (x86-64 and arm64); sockets only with `network`, and of the Internet only, by seccomp; files
only with `files`, by Landlock (Linux 5.13): without it only what Python itself is made of can be read, and nothing written.

Landlock keeps nobody from connecting to a socket that has a path, and those of the server itself let in whoever runs as its user:
so no plugin has a socket of that family, but for pairs of streams, which event loops wake up by and which reach nothing else.
"""

import ctypes
import os
import platform
import resource
import signal
import socket
import struct
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

MEMORY_OCTETS = 768 * 1024 * 1024
"""All that a plugin's process may have for itself (RLIMIT_DATA)."""
OPEN_FILES = 256

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 38, 22
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_EXECUTE, _READ_FILE, _READ_DIR, _REFER = 1 << 0, 1 << 2, 1 << 3, 1 << 13
_ACCESS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}

_libc = ctypes.CDLL(None, use_errno=True)

# Numbers of system calls: (AUDIT_ARCH, name -> number).
_X86_64 = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kill": 62, "tkill": 200, "tgkill": 234,
    "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "pidfd_open": 434, "pidfd_send_signal": 424, "pidfd_getfd": 438,
    "process_madvise": 440, "process_mrelease": 448, "kcmp": 312, "migrate_pages": 256, "move_pages": 279, "setpriority": 141,
    "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203, "sched_setattr": 314, "ioprio_set": 251,
    "execve": 59, "execveat": 322, "fork": 57, "vfork": 58, "clone": 56, "clone3": 435, "io_uring_setup": 425,
    "io_uring_enter": 426, "io_uring_register": 427, "socket": 41, "socketpair": 53, "connect": 42, "fcntl": 72, "ioctl": 16,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "mount": 165, "unshare": 272, "setns": 308, "add_key": 248,
    "request_key": 249, "keyctl": 250, "chroot": 161, "prlimit64": 302, "init_module": 175, "finit_module": 313,
    "kexec_load": 246, "reboot": 169, "prctl": 157, "open_by_handle_at": 304,
}  # fmt: skip
_AARCH64 = {
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kill": 129, "tkill": 130, "tgkill": 131,
    "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "pidfd_open": 434, "pidfd_send_signal": 424, "pidfd_getfd": 438,
    "process_madvise": 440, "process_mrelease": 448, "kcmp": 272, "migrate_pages": 238, "move_pages": 239, "setpriority": 140,
    "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122, "sched_setattr": 274, "ioprio_set": 30,
    "execve": 221, "execveat": 281, "clone": 220, "clone3": 435, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "socket": 198, "socketpair": 199, "connect": 203, "fcntl": 25, "ioctl": 29, "bpf": 280,
    "perf_event_open": 241, "userfaultfd": 282, "mount": 40, "unshare": 97, "setns": 268, "add_key": 217, "request_key": 218,
    "keyctl": 219, "chroot": 51, "prlimit64": 261, "init_module": 105, "finit_module": 273, "kexec_load": 104, "reboot": 142,
    "prctl": 167, "open_by_handle_at": 265,
}  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}

_ALWAYS = (
    "ptrace", "process_vm_readv", "process_vm_writev", "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
    "pidfd_open", "pidfd_send_signal", "pidfd_getfd", "process_madvise", "process_mrelease", "kcmp", "migrate_pages",
    "move_pages", "setpriority", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr", "ioprio_set",
    "execve", "execveat", "fork", "vfork", "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "perf_event_open",
    "userfaultfd", "mount", "unshare", "setns", "add_key", "request_key", "keyctl", "chroot", "init_module", "finit_module",
    "kexec_load", "reboot", "open_by_handle_at",
)  # fmt: skip
_NETWORK = ("socket", "connect")
_EPERM, _ENOSYS = 1, 38
_CLONE_THREAD = 0x00010000
_SOCKET_TYPE = 0xF
"""The bits of a socket's type; the others are flags."""
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15
"""By these the kernel itself sends any signal, SIGKILL included, to any process of the same user."""
_FIOSETOWN, _SIOCSPGRP, _TIOCSTI = 0x8901, 0x8902, 0x5412
"""The first two are F_SETOWN by other names; the third types into the terminal that the server was started from."""
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def die_with_parent(parent: int) -> None:
    """End with the worker, however it ends. Exits when it is gone already."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def confine(capabilities: Collection[str], readable: Iterable[str]) -> tuple[str, ...]:
    """Give up all that these capabilities do not need, for this process and its threads to come; it cannot be undone.

    readable: folders that Python modules are in. Returns what could not be enforced on this system, in plain words.
    """
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_OCTETS, MEMORY_OCTETS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    missing = []
    if not (_landlock_nothing_but_memory() if "files" in capabilities else _landlock(readable)):
        missing.append("files, the memory of others: the kernel has no Landlock")
    if not _seccomp("network" in capabilities):
        missing.append("network, processes: no seccomp filter for this machine")
    return tuple(missing)


def _landlock(readable: Iterable[str]) -> bool:
    access = _EXECUTE | _READ_FILE | _READ_DIR
    return _restricted(_ACCESS_BY_ABI[3], dict.fromkeys(readable, access))


def _landlock_nothing_but_memory() -> bool:
    """All files; but whoever is confined at all reaches no memory of others in /proc, which is a file, too."""
    return _restricted(_EXECUTE | _REFER, {"/": _EXECUTE | _REFER})


def _restricted(handled: int, allowed: Mapping[str, int]) -> bool:
    """handled: the ways of access that are refused but for those of `allowed`: path -> ways."""
    abi = _libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return False
    handled &= _ACCESS_BY_ABI[min(abi, 3)]
    attributes = struct.pack("=Q", handled)
    rules = _libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return False
    try:
        for path, access in allowed.items():
            _allow(rules, path, access & handled)
        return bool(_libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, access: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not Path(path).is_dir():
            access &= ~_READ_DIR
        _libc.syscall(_LANDLOCK_ADD_RULE, rules, 1, struct.pack("=Qi", access, target), 0)
    finally:
        os.close(target)


def _seccomp(network: bool) -> bool:
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    arch, numbers = machine
    denied = [numbers[name] for name in (*_ALWAYS, *(() if network else _NETWORK)) if name in numbers]
    program = [
        _load(4),  # seccomp_data.arch
        _equal(arch, 1, 0),
        _give(_KILL),
        _load(0),  # seccomp_data.nr
        _jump_at_least(0x40000000, 0, 1),  # the x32 numbers
        _give(_KILL),
    ]
    for number in denied:
        program += [_equal(number, 0, 1), _give(_ERRNO | _EPERM)]
    # A thread is made by clone with CLONE_THREAD; clone3 keeps its flags in memory, so libc is told that there is none.
    program += [_equal(numbers["clone3"], 0, 1), _give(_ERRNO | _ENOSYS)]
    # Each looks at one argument: new threads only, own limits only, the death signal stays, no socket has a path, and the kernel
    # sends no signals on its behalf.
    program += _if_called(numbers["clone"], 0, _bit(_CLONE_THREAD, 1, 0))
    program += _if_called(numbers["prlimit64"], 0, _equal(0, 1, 0))
    program += _if_called(numbers["prctl"], 0, *_none_of(_PR_SET_PDEATHSIG))
    program += _if_called(numbers["socket"], 0, _equal(socket.AF_INET, 2, 0), _equal(socket.AF_INET6, 1, 0))
    # A pair of datagrams could be connected anew, to any path.
    program += _if_called(numbers["socketpair"], 1, _and(_SOCKET_TYPE), _equal(socket.SOCK_STREAM, 1, 0))
    program += _if_called(numbers["fcntl"], 1, *_none_of(_F_SETOWN, _F_SETSIG, _F_SETOWN_EX))
    program += _if_called(numbers["ioctl"], 1, *_none_of(_FIOSETOWN, _SIOCSPGRP, _TIOCSTI))
    program.append(_give(_ALLOW))
    code = b"".join(program)
    kept = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("HxxxxxxP", len(program), ctypes.addressof(kept))
    return bool(_libc.prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(filter_), 0, 0) == 0)


def _if_called(number: int, argument: int, *tests: bytes) -> list[bytes]:
    """Of this call: the last test skips one instruction when the argument of this index may be, else EPERM."""
    test = [_load(16 + 8 * argument), *tests, _give(_ERRNO | _EPERM), _give(_ALLOW)]
    return [_equal(number, 0, len(test)), *test]


def _none_of(*values: int) -> list[bytes]:
    """Tests of `_if_called`: the argument is none of these."""
    last = len(values) - 1
    return [_equal(value, last - at, 1 if at == last else 0) for at, value in enumerate(values)]


def _load(offset: int) -> bytes:
    return struct.pack("=HBBI", 0x20, 0, 0, offset)


def _equal(value: int, then: int, otherwise: int) -> bytes:
    return struct.pack("=HBBI", 0x15, then, otherwise, value)


def _jump_at_least(value: int, then: int, otherwise: int) -> bytes:
    return struct.pack("=HBBI", 0x35, then, otherwise, value)


def _bit(value: int, then: int, otherwise: int) -> bytes:
    return struct.pack("=HBBI", 0x45, then, otherwise, value)


def _and(value: int) -> bytes:
    return struct.pack("=HBBI", 0x54, 0, 0, value)


def _give(value: int) -> bytes:
    return struct.pack("=HBBI", 0x06, 0, 0, value)


def of_python() -> list[str]:
    """The folders and files that the interpreter, its modules and its libraries are in."""
    system = ["/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl", "/dev/null", "/dev/urandom"]
    return [*dict.fromkeys([*system, sys.prefix, sys.base_prefix, *(path for path in sys.path if path)])]
