"""The replies that the SMTP server machine gives by itself (RFC 5321 section 4.2; RFC 3463; RFC 4954 section 6)."""

from mailward.model.reply import reply

START_MAIL_INPUT = reply(354, None, "Start mail input; end with <CRLF>.<CRLF>")
OK = reply(250, "2.0.0", "OK")
BYE = reply(221, "2.0.0", "Goodbye", closes=True)
COMMANDS = ("EHLO", "HELO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "HELP", "VRFY", "QUIT")
"""Those that HELP names on every listener."""
CANNOT_VERIFY = reply(252, "2.5.0", "Send some mail, it will be tried")

SYNTAX = reply(500, "5.5.2", "Syntax error")
UNKNOWN = reply(500, "5.5.1", "Command not recognized")
NOT_OFFERED = reply(502, "5.5.1", "Command not offered")
NO_ARGUMENT = reply(501, "5.5.4", "This command takes no argument")
NO_NUL = reply(501, "5.5.4", "A command cannot hold an octet of value 0")
NAME_WANTED = reply(501, "5.5.4", "One host name or address literal is expected")
VRFY_SYNTAX = reply(501, "5.5.4", "Syntax: VRFY address")
GREET_FIRST = reply(503, "5.5.1", "EHLO or HELO first")
OUT_OF_ORDER = reply(503, "5.5.1", "Bad sequence of commands")
TLS_IS_ON = reply(503, "5.5.1", "TLS is on already")
NO_RECIPIENTS = reply(554, "5.5.1", "No valid recipients")
BARE_LF = reply(500, "5.5.2", "Lines end in CRLF", closes=True)
LONG_LINE = reply(500, "5.5.2", "Command line too long")

NO_CHUNKING = reply(502, "5.5.1", "Command not offered", closes=True)
BDAT_SYNTAX = reply(501, "5.5.4", "Syntax: BDAT octets [LAST]", closes=True)
TOO_MANY_CHUNKS = reply(421, "4.7.0", "Too many chunks", closes=True)
TOO_BIG_TO_SKIP = reply(552, "5.3.4", "Message is larger than this server accepts", closes=True)
OUT_OF_STEP = reply(554, "5.5.0", "You must wait for the reply", closes=True)
TOO_EARLY = reply(554, "5.5.1", "You must wait for the greeting", closes=True)
TOO_MANY_ERRORS = reply(421, "4.7.0", "Too many errors", closes=True)
NOT_SMTP = reply(421, "4.7.0", "This is an SMTP server", closes=True)

STARTTLS_FIRST = reply(530, "5.7.0", "Must issue a STARTTLS command first")
LOGIN_FIRST = reply(530, "5.7.0", "Authentication required")
AUTH_NEEDS_TLS = reply(538, "5.7.11", "Encryption required for authentication")
AUTH_SYNTAX = reply(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]")
AUTH_ONCE = reply(503, "5.5.1", "Already authenticated")
AUTH_NO_MECHANISM = reply(504, "5.5.4", "Authentication mechanism not offered")
AUTH_NO_BASE64 = reply(501, "5.5.2", "Base64 expected")
AUTH_CANCELLED = reply(501, "5.7.0", "Authentication cancelled")
AUTH_LONG_LINE = reply(500, "5.5.6", "Authentication exchange line is too long")
