"""Every reply that the core gives to those who send mail, by name: the one table of their codes and texts (RFC 5321 section 4.2;
RFC 3463).

An admin can word them by these names, under `replies:` in a policy; codes are the core's. A name in braces stands for a value
that the place that gives the reply fills in. Not here is what machines read: the greeting, the replies to EHLO, HELO and HELP,
and the challenges of AUTH. No text names software, plugins or causes: those are in the log, under the id.
"""

from collections.abc import Mapping
from types import MappingProxyType

from mailward.model.reply import Reply

_TABLE: dict[str, Reply] = {}

REPLIES: Mapping[str, Reply] = MappingProxyType(_TABLE)
"""By name, in the order of the reference page."""


def _reply(name: str, code: int, enhanced: str | None, text: str, *, closes: bool = False) -> Reply:
    _TABLE[name] = Reply(code, enhanced, (text,), closes, name)
    return _TABLE[name]


# --- connections ---
TOO_MANY_CONNECTIONS = _reply("too_many_connections", 421, "4.7.0", "Too many connections from your address", closes=True)
NO_ROOM = _reply("no_room", 421, "4.3.2", "Too many connections, please try again later", closes=True)
SHUTTING_DOWN = _reply("shutting_down", 421, "4.3.2", "Service is shutting down, please try again later", closes=True)
TIMED_OUT = _reply("timed_out", 421, "4.4.2", "Timed out waiting for input", closes=True)
TOO_EARLY = _reply("too_early", 554, "5.5.1", "You must wait for the greeting", closes=True)
OUT_OF_STEP = _reply("out_of_step", 554, "5.5.0", "You must wait for the reply", closes=True)
TOO_MANY_ERRORS = _reply("too_many_errors", 421, "4.7.0", "Too many errors", closes=True)
NOT_SMTP = _reply("not_smtp", 421, "4.7.0", "This is an SMTP server", closes=True)
LOCAL_ERROR = _reply("local_error", 451, "4.3.0", "Temporary local problem, please try again later")
TOO_BUSY = _reply("too_busy", 451, "4.3.2", "Too many messages at once, please try again later")
BYE = _reply("bye", 221, "2.0.0", "Goodbye", closes=True)

# --- commands ---
OK = _reply("ok", 250, "2.0.0", "OK")
CANNOT_VERIFY = _reply("cannot_verify", 252, "2.5.0", "Send some mail, it will be tried")
SYNTAX = _reply("syntax", 500, "5.5.2", "Syntax error")
UNKNOWN = _reply("unknown", 500, "5.5.1", "Command not recognized")
NOT_OFFERED = _reply("not_offered", 502, "5.5.1", "Command not offered")
NO_ARGUMENT = _reply("no_argument", 501, "5.5.4", "This command takes no argument")
NO_NUL = _reply("no_nul", 501, "5.5.4", "A command cannot hold an octet of value 0")
BARE_LF = _reply("bare_lf", 500, "5.5.2", "Lines end in CRLF", closes=True)
LONG_LINE = _reply("long_line", 500, "5.5.2", "Command line too long")
NAME_WANTED = _reply("name_wanted", 501, "5.5.4", "One host name or address literal is expected")
VRFY_SYNTAX = _reply("vrfy_syntax", 501, "5.5.4", "Syntax: VRFY address")
GREET_FIRST = _reply("greet_first", 503, "5.5.1", "EHLO or HELO first")
LHLO_FIRST = _reply("lhlo_first", 503, "5.5.1", "LHLO first")
OUT_OF_ORDER = _reply("out_of_order", 503, "5.5.1", "Bad sequence of commands")
NOT_TRUSTED = _reply("not_trusted", 550, "5.7.0", "You may not speak for other clients")
XCLIENT_SYNTAX = _reply("xclient_syntax", 501, "5.5.4", "Syntax: XCLIENT attribute=value ...")

# --- TLS and logins ---
READY_FOR_TLS = _reply("ready_for_tls", 220, "2.0.0", "Ready to start TLS")
TLS_IS_ON = _reply("tls_is_on", 503, "5.5.1", "TLS is on already")
STARTTLS_FIRST = _reply("starttls_first", 530, "5.7.0", "Must issue a STARTTLS command first")
LOGIN_FIRST = _reply("login_first", 530, "5.7.0", "Authentication required")
AUTH_NEEDS_TLS = _reply("auth_needs_tls", 538, "5.7.11", "Encryption required for authentication")
AUTH_SYNTAX = _reply("auth_syntax", 501, "5.5.4", "Syntax: AUTH mechanism [initial-response]")
AUTH_ONCE = _reply("auth_once", 503, "5.5.1", "Already authenticated")
AUTH_NO_MECHANISM = _reply("auth_no_mechanism", 504, "5.5.4", "Authentication mechanism not offered")
AUTH_NO_BASE64 = _reply("auth_no_base64", 501, "5.5.2", "Base64 expected")
AUTH_CANCELLED = _reply("auth_cancelled", 501, "5.7.0", "Authentication cancelled")
AUTH_LONG_LINE = _reply("auth_long_line", 500, "5.5.6", "Authentication exchange line is too long")
AUTHENTICATED = _reply("authenticated", 235, "2.7.0", "Authentication successful")
LOGIN_FAILED = _reply("login_failed", 535, "5.7.8", "Authentication credentials invalid")
LOGIN_MALFORMED = _reply("login_malformed", 501, "5.5.2", "The response is not of this mechanism")
LOGIN_UNAVAILABLE = _reply("login_unavailable", 454, "4.7.0", "Temporary authentication failure, please try again later")
LOGIN_NO_LONGER_GOOD = _reply("login_no_longer_good", 421, "4.7.0", "The login of this session is no longer good", closes=True)
LOGIN_UNDECIDED = _reply("login_undecided", 451, "4.7.0", "Logins cannot be checked at the moment, please try again later")

# --- MAIL ---
MAIL_OK = _reply("mail_ok", 250, "2.1.0", "OK")
NEW_PRIORITY = _reply("new_priority", 250, "2.3.6", "{priority} is the new priority")
PATH_SYNTAX = _reply("path_syntax", 501, "5.5.4", "Syntax: {syntax}")
SPACE_WANTED = _reply("space_wanted", 501, "5.5.4", "A space was expected behind the path")
BAD_REVERSE_PATH = _reply("bad_reverse_path", 553, "5.1.7", "Reverse-path: {problem}")
UTF8_ADDRESS = _reply("utf8_address", 553, "5.6.7", "That address needs the SMTPUTF8 parameter of MAIL")
NO_PARAMETERS_IN_HELO = _reply("no_parameters_in_helo", 555, "5.5.4", "Parameters need a session opened by EHLO")
MALFORMED_PARAMETER = _reply("malformed_parameter", 501, "5.5.4", "A parameter is malformed")
PARAMETER_TWICE = _reply("parameter_twice", 501, "5.5.4", "Parameter {parameter} is given twice")
UNKNOWN_PARAMETER = _reply("unknown_parameter", 555, "5.5.4", "{command} has no parameter {parameter} here")
WRONG_VALUE = _reply("wrong_value", 501, "5.5.4", "{parameter} {wants}")
HOLD_TWICE = _reply("hold_twice", 501, "5.5.4", "HOLDFOR and HOLDUNTIL exclude each other")
PAST_RELEASE = _reply("past_release", 501, "5.5.4", "HOLDUNTIL names a moment that is over")
BACK_BEFORE_RELEASE = _reply("back_before_release", 501, "5.5.4", "BY ends before the message may go")
NOT_YOUR_REVERSE_PATH = _reply(
    "not_your_reverse_path", 553, "5.7.1", "This reverse-path does not belong to the account that logged in"
)
MESSAGES_PER_HOUR = _reply("messages_per_hour", 450, "4.7.1", "Too many messages, please try again later")
OCTETS_PER_HOUR = _reply("octets_per_hour", 450, "4.7.1", "Too much mail, please try again later")
INSUFFICIENT_STORAGE = _reply("insufficient_storage", 452, "4.3.1", "Insufficient system storage, please try again later")

# --- RCPT ---
RCPT_OK = _reply("rcpt_ok", 250, "2.1.5", "OK")
BAD_FORWARD_PATH = _reply("bad_forward_path", 553, "5.1.3", "Forward-path: {problem}")
UNKNOWN_RECIPIENT = _reply("unknown_recipient", 550, "5.1.1", "No such mailbox here")
NOT_VERIFIED = _reply("not_verified", 450, "4.1.1", "This recipient cannot be verified now, try again later")
MAILBOX_FULL = _reply("mailbox_full", 452, "4.2.2", "The mailbox is full, please try again later")
MAILBOX_FULL_FOR_GOOD = _reply("mailbox_full_for_good", 552, "5.2.2", "The mailbox is full")
REPORTS_ONLY = _reply("reports_only", 550, "5.7.1", "Only delivery reports come by this address")
MEMBERS_ONLY = _reply("members_only", 550, "5.7.2", "Only members of this list may send to it")
RELAY_DENIED = _reply("relay_denied", 554, "5.7.1", "Relaying is not permitted here")
SEVERAL_FOR_NULL = _reply("several_for_null", 550, "5.5.3", "A message from <> is for fewer recipients")
TOO_MANY_RECIPIENTS = _reply("too_many_recipients", 452, "4.5.3", "Too many recipients")
RECIPIENTS_PER_HOUR = _reply("recipients_per_hour", 450, "4.7.1", "Too many recipients, please try again later")

# --- DATA and BDAT ---
START_MAIL_INPUT = _reply("start_mail_input", 354, None, "Start mail input; end with <CRLF>.<CRLF>")
CHUNK_OK = _reply("chunk_ok", 250, "2.0.0", "{octets} octets received")
NO_RECIPIENTS = _reply("no_recipients", 554, "5.5.1", "No valid recipients")
LMTP_NO_RECIPIENTS = _reply("lmtp_no_recipients", 503, "5.5.1", "No valid recipients")
NO_CHUNKING = _reply("no_chunking", 502, "5.5.1", "Command not offered", closes=True)
BDAT_SYNTAX = _reply("bdat_syntax", 501, "5.5.4", "Syntax: BDAT octets [LAST]", closes=True)
BINARY_BY_BDAT = _reply("binary_by_bdat", 503, "5.5.1", "Binary content comes by BDAT")
TOO_MANY_CHUNKS = _reply("too_many_chunks", 421, "4.7.0", "Too many chunks", closes=True)
MESSAGE_TOO_BIG = _reply("message_too_big", 552, "5.3.4", "Message is larger than this server accepts")
TOO_BIG_TO_SKIP = _reply("too_big_to_skip", 552, "5.3.4", "Message is larger than this server accepts", closes=True)
BARE_NEWLINE = _reply("bare_newline", 550, "5.5.2", "The message holds CR or LF outside a CRLF", closes=True)
NUL_IN_MESSAGE = _reply("nul_in_message", 554, "5.6.0", "The message holds an octet of value 0", closes=True)
LONG_LINE_IN_MESSAGE = _reply("long_line_in_message", 552, "5.3.4", "A line of the message is too long")

# --- the message ---
EACH_RECIPIENT = _reply("each_recipient", 353, None, "A reply for each recipient follows")
ACCEPTED = _reply("accepted", 250, "2.0.0", "Accepted")
REJECTED = _reply("rejected", 554, "5.7.1", "Message rejected by policy")
DEFERRED = _reply("deferred", 451, "4.7.1", "Deferred by policy, please try again later")
TOO_MANY_HOPS = _reply("too_many_hops", 554, "5.4.6", "Too many hops, this message is going in circles")
LOOP = _reply("loop", 554, "5.4.6", "This message has been here before, it is going in circles")
HEADER_TOO_BIG = _reply("header_too_big", 554, "5.6.0", "The header of this message is larger than this server accepts")
BINARY_ELSEWHERE = _reply(
    "binary_elsewhere", 554, "5.6.0", "Binary content stands outside of a part whose transfer encoding says so"
)
BINARY_NOT_CONVERTED = _reply("binary_not_converted", 554, "5.6.3", "Binary content that cannot be converted: {problem}")
LINE_ENDS = _reply("line_ends", 550, "5.5.2", "The lines of the message do not end in CRLF")
UNREADABLE_AUTHOR = _reply("unreadable_author", 550, "5.6.0", "{needs} exactly one address")
NOT_YOUR_AUTHOR = _reply("not_your_author", 550, "5.7.1", "The address in {field} does not belong to the account that logged in")
AUTHORS_TOO_LONG = _reply("authors_too_long", 550, "5.6.0", "From and Sender are longer than {octets} octets")
MALFORMED_FIELD = _reply("malformed_field", 550, "5.6.0", "The header line '{line}' is not a name, a colon and a value")
CONTROL_IN_FIELD = _reply("control_in_field", 550, "5.6.0", "The {field} field holds a control character")
FIELD_TWICE = _reply("field_twice", 550, "5.6.0", "The message has more than one {field} field")
