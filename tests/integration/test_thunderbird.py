"""A real Thunderbird, without a screen, reads, flags, moves and deletes mail over IMAP, and hears of new mail and of what others do by IDLE.

Its account has a second factor, so it logs in with an app password."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from marionette_driver.marionette import Marionette

from support.processes import free_port, program
from support.server import Server, server

USER_JS = """\
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("mail.spotlight.firstRunDone", true);
user_pref("app.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.dns.disableIPv6", true);
user_pref("marionette.port", PORT);
"""

# Runs inside Thunderbird with its own objects, as its windows use them.
SCRIPT = """
const [port, certificate, password, done] = arguments;
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
const until = async ready => { for (let n = 0; n < 100 && !ready(); n++) await pause(200); return ready(); };
(async () => {
  const certificates = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService)
    .rememberValidityOverride("localhost", port, {}, certificates.constructX509FromBase64(certificate), false);
  const server = MailServices.accounts.createIncomingServer("demo@example.test", "localhost", "imap");
  Object.assign(server, { port, socketType: 3, authMethod: 3, password });
  const account = MailServices.accounts.createAccount();
  account.incomingServer = server;
  const identity = MailServices.accounts.createIdentity();
  identity.email = "demo@example.test";
  account.addIdentity(identity);
  const root = server.rootFolder;
  server.performExpand(null);
  const archive = await until(() => root.subFolders.find(folder => folder.name.startsWith("Archive")));
  const inbox = root.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
  await pause(2000);  // it is still making its folders
  inbox.updateFolder(null);
  await until(() => inbox.getTotalMessages(false) == 3);
  const subjects = () => [...inbox.messages].map(message => message.subject);
  const named = subject => [...inbox.messages].find(message => message.subject == subject);
  const seen = subjects();
  inbox.markMessagesFlagged([named("one")], true);
  await pause(1000);
  MailServices.copy.copyMessages(inbox, [named("two")], archive, true, null, null, false);
  await until(() => !named("two"));
  inbox.deleteMessages([named("three")], null, true, true, null, false);
  await until(() => !named("three"));
  window.mailwardInbox = inbox;
  return { seen, folders: root.subFolders.map(folder => folder.name) };
})().then(done, error => done({ error: String(error), stack: error.stack }));
"""


@contextlib.contextmanager
def _thunderbird() -> Iterator[tuple[Marionette, Path]]:
    """What steers it, and the log of what it says over IMAP."""
    profile = Path(tempfile.mkdtemp(prefix="mailward-thunderbird-"))
    port = free_port()
    (profile / "user.js").write_text(USER_JS.replace("PORT", str(port)))
    arguments = ["--headless", "--marionette", "-remote-allow-system-access", "--no-remote", "--profile", str(profile)]
    with (profile / "output.log").open("wb") as output:
        process = subprocess.Popen(
            [program("thunderbird", "thunderbird"), *arguments],
            env={
                **os.environ, "HOME": str(profile), "MOZ_HEADLESS": "1",
                "MOZ_LOG": "IMAP:4,sync", "MOZ_LOG_FILE": str(profile / "imap"),
            },
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None and time.monotonic() < deadline, (profile / "output.log").read_text()[-2000:]
            time.sleep(0.2)
        client = Marionette("127.0.0.1", port=port)
        client.start_session()
        client.timeout.script = 90
        yield client, profile / "imap.moz_log"
    finally:
        process.terminate()
        process.wait(30)


def _send(target: Server, subject: str) -> None:
    head = f"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: {subject}\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
    assert target.send(f"{head}Message-ID: <{subject}@sender.invalid>\r\n\r\nthe text of {subject}\r\n".encode())[0] == 250


def _is_idling(log: Path) -> bool:
    said = [line for line in log.read_text(errors="replace").splitlines() if "S-INBOX:SendData: " in line]
    return bool(said) and said[-1].endswith(" IDLE")


def _until(thunderbird: Marionette, wanted: str) -> None:
    """Until this is so in its inbox, of which nobody asks it anything."""
    named = "const named = subject => [...window.mailwardInbox.messages].find(message => message.subject == subject);"
    deadline = time.monotonic() + 90
    while not thunderbird.execute_script(f"{named} return Boolean({wanted});", sandbox="system"):
        assert time.monotonic() < deadline, f"Thunderbird did not hear: {wanted}"
        time.sleep(0.2)


def test_thunderbird_reads_flags_moves_deletes_and_idles() -> None:
    with server() as target, _thunderbird() as (thunderbird, log):
        password, _ = target.give_second_factor("demo@example.test")
        for subject in ("one", "two", "three"):
            _send(target, subject)
        target.wait_for(3)
        certificate = "".join((target.folder / "tls/certificate.pem").read_text().splitlines()[1:-1])
        with thunderbird.using_context("chrome"):
            done = thunderbird.execute_async_script(
                SCRIPT, script_args=(target.port("imaps"), certificate, password), sandbox="system"
            )
            assert done.get("error") is None, done
            assert sorted(done["seen"]) == ["one", "three", "two"]
            assert {"Archive", "Drafts", "Junk", "Sent", "Trash"} <= {
                name.replace("Archives", "Archive") for name in done["folders"]
            }
            deadline = time.monotonic() + 60
            while not _is_idling(log):  # it begins two seconds after its last command, to whose reply news would be nothing to it
                assert time.monotonic() < deadline, "Thunderbird does not idle"
                time.sleep(0.2)
            _send(target, "four")  # nobody asks for it: IDLE tells
            _until(thunderbird, "named('four')")
            with target.imap() as another:
                another.select("INBOX")
                another.store("1:*", "+FLAGS", "(\\Seen \\Answered)")
                assert another.uid("MOVE", "*", "Archive")[0] == "OK"
            flags = "Ci.nsMsgMessageFlags.Read | Ci.nsMsgMessageFlags.Replied"
            _until(thunderbird, f"!named('four') && (named('one').flags & ({flags})) == ({flags})")
        with target.imap() as client:
            client.select("INBOX", readonly=True)
            assert client.search(None, "FLAGGED", "SUBJECT", "one") == ("OK", [b"1"])
            assert client.search(None, "UNDELETED", "OR", "SUBJECT", "two", "SUBJECT", "three") == ("OK", [b""])
            assert client.select("Archive", readonly=True) == ("OK", [b"2"])
