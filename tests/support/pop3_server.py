"""POP3 with real sockets, TLS and store."""

import poplib
import ssl
from dataclasses import replace
from pathlib import Path

from mailward.net.admission import Admission
from mailward.net.pop3d import Pop3Listener, Pop3Settings
from support.mail_server import MailServer
from support.pop3 import PASSWORD, Office

NAME = "alice@example.test"
LOGIN = f"USER {NAME}\r\nPASS {PASSWORD}\r\n".encode()


class Pop3Server(Office, MailServer):
    """Two listeners of one office."""

    def __init__(self, folder: Path, settings: Pop3Settings | None = None, admission: Admission | None = None) -> None:
        self._settings = settings or Pop3Settings()
        self._admission = admission or Admission()
        Office.__init__(self, folder)
        MailServer.__init__(self, folder)

    def listener(self, context: ssl.SSLContext, *, implicit_tls: bool) -> Pop3Listener:
        return Pop3Listener(replace(self._settings, implicit_tls=implicit_tls), self.desk, context, self._admission)

    def let_go(self) -> None:
        self.store.close()

    def connect(self) -> poplib.POP3_SSL:
        client = poplib.POP3_SSL("127.0.0.1", self.tls_port, context=self.client_context, timeout=60)
        client.user(NAME)
        client.pass_(PASSWORD)
        return client
