"""A web server on loopback over TLS, whose pages tests change while it runs."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.certificates import Issued


@dataclass
class Page:
    """What is answered. hangs: not before `released` is set."""

    body: bytes
    status: int = 200
    content_type: str | None = "text/plain"
    location: str = ""
    hangs: bool = False


@dataclass
class Web:
    """pages: (host, path) -> page, all else 404. asked: the (host, path) so far. certificates: by server name."""

    certificates: dict[str, Issued]
    pages: dict[tuple[str, str], Page] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def web(**certificates: Issued) -> Iterator[Web]:
    """certificates: by server name with "_" for "."; `default` is for all others."""
    made = Web({name.replace("_", "."): issued for name, issued in certificates.items()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = (self.headers["Host"].partition(":")[0], self.path)
            made.asked.append(where)
            page = made.pages.get(where, Page(b"nothing", 404))
            if page.hangs:
                made.released.wait(30)
            self.send_response(page.status)
            if page.content_type is not None:
                self.send_header("Content-Type", page.content_type)
            if page.location:
                self.send_header("Location", page.location)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    contexts = {name: _context(issued) for name, issued in made.certificates.items()}
    first = contexts["default"]

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = contexts.get(name or "", first)

    first.sni_callback = choose
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = first.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.released.set()
        server.shutdown()
        server.server_close()


def _context(issued: Issued) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    return context
