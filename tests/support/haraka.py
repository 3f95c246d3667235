"""A real Haraka from npm as a client: it relays what it is given, each mail to the place its reverse-path's local part names.

One plugin of ours takes all recipients and says where mail goes; everything else is Haraka's own.
"""

import contextlib
import json
import shutil
import smtplib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.processes import RunningProgram, free_port, greets, program
from support.server import open_folder

PROGRAM = Path(__file__).parents[2] / ".cache/haraka/node_modules/Haraka/bin/haraka"
_PLUGIN = """'use strict';
const routes = require('./routes.json');
exports.hook_rcpt = (next, connection) => { connection.relaying = true; next(OK); };
exports.hook_get_mx = (next, hmail) => {
    next(OK, routes[hmail.todo.mail_from.user]);
};
"""


class Haraka:
    """Listens on `port`.

    routes: by local part of the reverse-path, what Haraka's HarakaMx takes (exchange, port, using_lmtp, auth_user, ...).
    in_clear: the domain whose mail goes without TLS; all other mail goes by STARTTLS where that is offered.
    """

    def __init__(self, folder: Path, routes: Mapping[str, Mapping[str, object]], in_clear: str) -> None:
        if not PROGRAM.exists():
            pytest.fail("this test needs Haraka: contrib/dev/test-packages.sh installs it with npm")
        self._folder = folder
        self.port = free_port()
        for name in ("config", "plugins", "queue"):
            (folder / name).mkdir()
        (folder / "plugins/relaying.js").write_text(_PLUGIN)
        (folder / "plugins/routes.json").write_text(json.dumps(routes))
        usual = (PROGRAM.parents[1] / "config/connection.ini").read_text()
        settings = {
            "plugins": "relaying\n",
            "me": "relay.example.net\n",
            "smtp.ini": f"listen=127.0.0.1:{self.port}\nnodes=0\n",
            "connection.ini": usual.replace("data_line_length=992", "data_line_length=1000"),
            "outbound.ini": "local_mx_ok=true\nenable_tls=true\n",
            "tls.ini": f"[outbound]\nrejectUnauthorized=false\nno_tls_hosts[]={in_clear}\n[redis]\ndisable_for_failed_hosts=false\n",
            "log.ini": "level=protocol\n",
        }
        for name, text in settings.items():
            (folder / "config" / name).write_text(text)
        self._process = RunningProgram([program("node", "npm"), str(PROGRAM), "-c", str(folder)], folder / "log")
        self._process.wait_until(lambda: greets(self.port), limit_s=60)

    def send(self, octets: bytes, sender: str, *to: str, mail: tuple[str, ...] = ()) -> None:
        """Hand it a message. mail: parameters of that command."""
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.example.net", timeout=60) as client:
            assert client.sendmail(sender, to, octets, mail) == {}

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        self._process.stop()


@contextlib.contextmanager
def haraka(routes: Mapping[str, Mapping[str, object]], in_clear: str) -> Iterator[Haraka]:
    """One that is running; arguments as `Haraka`."""
    folder = open_folder("mailward-haraka-")
    try:
        made = Haraka(folder, routes, in_clear)
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
