"""A real Roundcube from Debian in PHP's own web server, whose mail is a Mailward of the tests."""

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import RunningProgram, free_port, listens, program
from support.server import PASSWORD, Server

_ROOT = Path("/var/lib/roundcube/public_html")
_LIBRARY = Path("/usr/share/roundcube/program/lib/Roundcube/rcube_imap_generic.php")
_SETTINGS = Path("/etc/roundcube")


@contextlib.contextmanager
def roundcube(target: Server) -> Iterator[str]:
    """Its URL. Everything it writes is in a folder of its own, which is gone at the end."""
    php = program("php", "php-cli")
    if not _ROOT.is_dir():
        pytest.fail(
            "this test needs Roundcube: apt-get install --no-install-recommends roundcube-core roundcube-sqlite3 roundcube-plugins"
        )
    folder = Path(tempfile.mkdtemp(prefix="mailward-roundcube-"))
    port = free_port()
    for name in ("defaults.inc.php", "mimetypes.php"):
        (folder / name).symlink_to(_SETTINGS / name)
    (folder / "config.inc.php").write_text(_config(folder, target))
    process = RunningProgram(
        ["env", f"ROUNDCUBE_CONFIG_DIR={folder}", php, "-d", "opcache.enable_cli=1",
         "-S", f"127.0.0.1:{port}", "-t", str(_ROOT)],
        folder / "php.log",
    )  # fmt: skip
    try:
        process.wait_until(lambda: listens(port))
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def with_its_imap(target: Server, calls: str) -> object:
    """What PHP makes of `$imap`, an object of Roundcube's own IMAP library that has logged in. calls: an expression."""
    script = f"""
    require '{_LIBRARY}';
    class rcube {{ static function raise_error() {{}} }}
    $imap = new rcube_imap_generic();
    $imap->connect('localhost', 'demo@example.test', '{PASSWORD}', ['ssl_mode' => 'ssl', 'port' => {target.port("imaps")},
        'auth_type' => 'PLAIN', 'socket_options' => {_trust(target)}]) or exit(1);
    echo json_encode({calls});
    """
    done = subprocess.run([program("php", "php-cli"), "-r", script], capture_output=True, text=True, timeout=90, check=True)
    return json.loads(done.stdout)


def _trust(target: Server) -> str:
    return f"['ssl' => ['cafile' => '{target.folder}/tls/certificate.pem', 'verify_peer_name' => false]]"


def _config(folder: Path, target: Server) -> str:
    return f"""<?php
$config = [];
$config['db_dsnw'] = 'sqlite:///{folder}/roundcube.db?mode=0600';
$config['temp_dir'] = $config['log_dir'] = '{folder}';
$config['des_key'] = 'made for a test, and 24.';
$config['imap_host'] = 'ssl://localhost:{target.port("imaps")}';
$config['smtp_host'] = 'ssl://localhost:{target.port("submissions")}';
$config['managesieve_host'] = 'tls://localhost:{target.port("managesieve")}';
$config['imap_conn_options'] = $config['smtp_conn_options'] = $config['managesieve_conn_options'] = {_trust(target)};
$config['imap_cache'] = $config['messages_cache'] = 'db';
$config['managesieve_mbox_encoding'] = 'UTF-8';
$config['plugins'] = ['managesieve', 'acl', 'markasjunk', 'subscriptions_option'];
$config['enable_spellcheck'] = false;
"""
