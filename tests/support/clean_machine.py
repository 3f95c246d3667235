"""An empty Debian 12 to try the first minutes in: made by debootstrap, entered by chroot, with processes and mounts of its own.

What the machine's network needs is carried over (name servers, proxies, its own certificate authority), and nothing else:
neither packages nor settings nor the checkout.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.processes import program

RELEASE = "bookworm"
NETWORK = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "PIP_INDEX_URL",
    "PIP_DEFAULT_TIMEOUT",
)
AUTHORITIES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""Where an environment names the certificates that stand for this network."""
AUTHORITY_FILE = "/etc/network-authorities.pem"
ENTER = 'mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && shift && exec chroot "$@"'


def mirror() -> list[str]:
    """Where apt on this machine takes the release from; [] when it does not know, and debootstrap uses its own."""
    if shutil.which("apt-get") is None:
        return []
    form = "$(CODENAME) $(COMPONENT) $(REPO_URI)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = [line.split(" ")[2] for line in listed.stdout.splitlines() if line.startswith(f"{RELEASE} main ")]
    return found[:1]


@dataclass(frozen=True)
class CleanMachine:
    """One root folder. Only root can make and enter it."""

    root: Path

    @classmethod
    def make(cls, root: Path, packages: Sequence[str]) -> "CleanMachine":
        """The smallest Debian there is, and these packages."""
        include = f"--include={','.join(packages)}"
        done = subprocess.run(
            [program("debootstrap", "debootstrap"), "--variant=minbase", include, RELEASE, str(root), *mirror()],
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        for name in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copy(name, root / name[1:])
        authorities = next((os.environ[name] for name in AUTHORITIES if os.environ.get(name)), None)
        if authorities is not None:
            shutil.copy(authorities, root / AUTHORITY_FILE[1:])
        return cls(root)

    def copy(self, root: Path) -> "CleanMachine":
        """Another one just like it."""
        subprocess.run(["cp", "-a", "--reflink=auto", self.root, root], check=True, timeout=120)
        return CleanMachine(root)

    def _command(self, script: str, user: str, cwd: str) -> list[str]:
        environment = {name: os.environ[name] for name in NETWORK if name in os.environ}
        if (self.root / AUTHORITY_FILE[1:]).exists():
            environment["PIP_CERT"] = AUTHORITY_FILE
        words = [f"{name}={value}" for name, value in environment.items()]
        login = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", *words]
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        home = "/root" if user == "root" else f"/home/{user}"
        inside = [*become, *login, f"HOME={home}", f"USER={user}", "sh", "-c", f"cd {cwd} && {script}"]
        return [
            "unshare",
            "--mount",
            "--pid",
            "--kill-child",
            "sh",
            "-c",
            ENTER,
            "enter",
            str(self.root),
            str(self.root),
            *inside,
        ]

    def run(self, script: str, *, user: str, cwd: str = "/") -> "subprocess.CompletedProcess[str]":
        """What a person types at a shell, to its end."""
        command = self._command(script, user, cwd)
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280, check=False)

    def start(self, script: str, log: Path, *, user: str, cwd: str) -> "subprocess.Popen[bytes]":
        """The same in a terminal of its own; what it prints goes to `log`. Ctrl-C is `interrupt`."""
        with log.open("wb") as output:
            return subprocess.Popen(
                self._command(script, user, cwd),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def add_user(self, name: str) -> None:
        """Somebody with an empty home."""
        done = self.run(f"useradd --create-home --shell /bin/sh {name}", user="root")
        assert done.returncode == 0, done.stderr

    def clone(self, repository: Path, place: str, *, owner: str) -> None:
        """A fresh clone, with nothing that is not committed, as its owner would have made it."""
        target = self.root / place[1:]
        safe = ["-c", f"safe.directory={repository}", "-c", f"safe.directory={repository}/.git"]
        subprocess.run(["git", *safe, "clone", "-q", "--no-local", repository, target], check=True, timeout=60)
        if owner != "root":
            assert self.run(f"chown -R {owner}: {place}", user="root").returncode == 0


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C: to everything in the terminal."""
    os.killpg(process.pid, signal.SIGINT)
