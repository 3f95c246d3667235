"""What our adapter relies on inside aiosmtpd and asyncio. A failure here means: look at net/smtp_connection.py before upgrading."""

import asyncio
import inspect
from importlib.metadata import version

from aiosmtpd.smtp import SMTP

from mailward.net.admission import Admission
from mailward.net.smtp_connection import SmtpConnection, SmtpSettings
from mailward.net.smtpd import SmtpListener


class RecordingTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 4000)})
        self.closed = False
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0


def connection() -> SmtpConnection:
    settings = SmtpSettings(hostname="mx.example.org")
    return SmtpConnection(SmtpListener(settings, lambda session: None, None, Admission()))  # type: ignore[arg-type, return-value]


def test_minor_version() -> None:
    assert version("aiosmtpd").startswith("1.4.")


def test_it_is_a_stream_reader_protocol_with_flow_control() -> None:
    assert issubclass(SMTP, asyncio.StreamReaderProtocol)


async def test_connection_made_starts_our_loop_and_makes_reader_and_writer() -> None:
    one = connection()
    assert one._paused is False  # type: ignore[attr-defined]
    transport = RecordingTransport()
    one.connection_made(transport)
    assert one.transport is transport
    assert isinstance(one._writer, asyncio.StreamWriter)
    assert one._handler_coroutine is not None
    assert one._timeout_handle is not None
    one._handler_coroutine.cancel()
    await asyncio.gather(one._handler_coroutine, return_exceptions=True)


async def test_its_search_for_commands_finds_none_of_its_own() -> None:
    assert connection()._smtp_methods == {}
    assert connection()._auth_methods == {}


async def test_a_lost_client_does_not_cancel_the_handler() -> None:
    one = connection()
    one.connection_made(RecordingTransport())
    assert one._handler_coroutine is not None
    one.eof_received()
    one.connection_lost(None)
    assert one._handler_coroutine.cancelling() == 0
    one._handler_coroutine.cancel()
    await asyncio.gather(one._handler_coroutine, return_exceptions=True)


def test_starttls_is_the_method_we_call() -> None:
    source = inspect.getsource(SMTP.smtp_STARTTLS)
    assert "await self.push('220 Ready to start TLS')" in source  # whose place our `push` takes
    assert "_original_transport.set_protocol(self._tls_protocol)" in source
    assert "TLSSetupException" in source
    assert list(inspect.signature(SMTP.smtp_STARTTLS).parameters) == ["self", "arg"]


def test_the_second_connection_made_is_the_one_after_the_handshake() -> None:
    source = inspect.getsource(SMTP.connection_made)
    assert "seen_starttls" in source and "_handle_client" in source
