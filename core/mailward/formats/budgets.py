"""How much of a stranger's message is read? One number for each thing that can be repeated, nested or long.

Beyond a budget a reading ends and an anomaly says so; nothing raises, and no octet is lost: what was not read still belongs to
the message. The numbers lie far above honest mail and low enough that the work for any message stays linear.
"""

HEADER_OCTETS = 256 * 1024
"""The header block of a message or a part."""
FIELD_OCTETS = 64 * 1024
"""One header field, folded lines included."""
FIELDS = 1000
"""Header fields of a message or a part."""
BLOCK_HEADER_OCTETS = 64 * 1024
"""The header of a block that another reader may take for a part."""
PARTS = 2000
"""Parts of a message, those of attached messages included; of a small message fewer, see `parts_of`."""
DEPTH = 32
"""Parts inside parts; the message itself is at depth 0."""
BOUNDARY_OCTETS = 200
"""RFC 2046 section 5.1.1 allows 70."""
PARAMETERISED_OCTETS = 8 * 1024
"""A value with parameters that is not ordinary. Of what is behind only as much at the end is searched for those that decide."""
PARAMETERS = 64
"""Parameters of one field (RFC 2045 section 5.1)."""
SECTIONS = 32
"""Sections of one parameter (RFC 2231 section 3)."""
PARAMETER_READINGS = 32
"""Readings of one parameter, where readers differ."""
MAILBOXES = 2000
"""Mailboxes of one address list (RFC 5322 section 3.4)."""
COMMENT_DEPTH = 8
"""Comments inside comments (RFC 5322 section 3.2.2); what is nested deeper is skipped, but marked malformed."""
IDENTIFIERS = 1000
"""Messages named in one field (RFC 5322 section 3.6.4)."""
IDENTIFIER_OCTETS = 998
"""An identifier cannot be folded, so a line is the most that it can have (RFC 5322 section 2.1.1)."""
ENCODED_WORDS = 5000
"""Encoded-words of one field (RFC 2047)."""
LINKS = 2000
"""Links of a message."""
URL_CHARACTERS = 4096
"""One link; of a longer one this much is kept."""
LINK_TEXT_CHARACTERS = 500
"""The text that a person sees in place of a link; of a longer one this much is kept."""
HTML_CHARACTERS = 4_000_000
"""HTML of one part."""
HTML_DEPTH = 1000
"""Elements inside elements; HTML that is nested deeper is not parsed, its tags are cut out."""
TEXT_OCTETS = 16 * 1024 * 1024
"""A part that is read as text, transfer encoding undone."""
INLINE_FILES = 200
"""Files that stand in the text of one part, as uuencode, base64, yEnc or BinHex."""
TNEF_FILES = 500
"""Files of one winmail.dat, those of messages inside it included."""
ENCODED_MESSAGES = 3
"""An encoded message/rfc822 inside another one, and so on: each level is decoded into memory."""
ENCODED_MESSAGE_OCTETS = 16 * 1024 * 1024
"""An encoded message/rfc822 that is opened."""
READINGS = 500
"""Ways in which the parts of one message may be read; what is declared comes first."""
READING_TIMES = 8
"""What is decoded beside the declared reading, as multiples of the message's size."""
READING_OCTETS = 1024 * 1024
"""That much is decoded beside the declared reading of any message, however small."""
BLOCKS = 4000
"""Pieces between lines of two hyphens that are looked at."""
BOUNDARIES = 24
"""Boundaries that are tried beside each other, those that fields name first."""
DELIMITERS = 2 * PARTS
"""Delimiter lines of a message: each part has one and each multipart one more."""
DELIMITERS_LOOKED_AT = 5 * PARTS
"""Lines that begin as a delimiter line of a deeply nested multipart does, and are none."""
_SOME_PARTS = 100
_PART_OCTETS = 500
"""On average no honest mail of more than a few parts has smaller ones: a header alone is not much less."""


def parts_of(size_octets: int) -> int:
    """How many parts of a message of this size are read, so that the work is in proportion to the size of small ones too."""
    return min(PARTS, _SOME_PARTS + size_octets // _PART_OCTETS)
