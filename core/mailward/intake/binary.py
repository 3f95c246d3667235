"""What becomes of a message with binary content? Lines, before anybody looks at it (RFC 3030 section 3, T-SMTP-19).

Filters, the spool, mailboxes and next servers meet the same octets, and none of them a NUL or a stray CR or LF (decision 0018).
"""

from mailward.api.services import RunBlocking
from mailward.formats.binary import in_lines
from mailward.formats.lines import LineCounter, LineFacts
from mailward.formats.message import MessageView
from mailward.intake.ports import Incoming
from mailward.intake.refusing import BINARY_ELSEWHERE, CoreRefusal
from mailward.model.replies import BINARY_NOT_CONVERTED
from mailward.protocol.framing import fault_of
from mailward.protocol.smtp.states import Limits

_LINE_OCTETS = Limits().content_line_octets


def is_in_lines(lines: LineFacts) -> bool:
    """Then it is taken as it came: what was signed stays as it was signed."""
    return fault_of(lines, _LINE_OCTETS) is None


async def write_in_lines(message: MessageView, incoming: Incoming, run_blocking: RunBlocking) -> LineFacts | CoreRefusal:
    """Write the message in lines, and say what is known of them; or why that cannot be done. Raises StorageError.

    The parts are read and encoded in threads, piece by piece, so that other sessions go on meanwhile.
    """
    counter, pieces = LineCounter(), in_lines(message)
    try:
        while piece := await run_blocking(lambda: next(pieces, b"")):
            counter.feed(piece)
            incoming.write(piece)
    except ValueError as error:
        return CoreRefusal("binary content", BINARY_NOT_CONVERTED.filled(problem=error))
    return counter.facts if is_in_lines(counter.facts) else BINARY_ELSEWHERE
