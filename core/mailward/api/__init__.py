"""All that a plugin may import from Mailward (API version 1). `__all__` is the contract."""

from mailward.api.commands import (
    AccountCommand,
    CommandAnswer,
    CommandCall,
    CommandFailed,
    CommandGroup,
    CommandOption,
    ServerCall,
    ServerCommand,
)
from mailward.api.delivering import Delivery, Folder, FolderChoice
from mailward.api.dns import DnsRecord
from mailward.api.hooks import hookimpl
from mailward.api.learning import MessageClassified, MessageMoved
from mailward.api.logins import FactorAnswer, LoginAttempt, LoginOutcome, LoginProtocol, Secret
from mailward.api.plugin import API_VERSION, Asked, Capability, Facts, Finding, Findings, Plugin, Settings, Symbol
from mailward.api.relaying import MailHost, Origin, Relaying, RelayingAttempt, RelayOutcome, UnsendableMessage
from mailward.api.services import (
    Clock,
    Credentials,
    DnsTemporaryError,
    Http,
    HttpAnswer,
    HttpFailed,
    KeyValue,
    Log,
    Memory,
    Metrics,
    Resolver,
    RunBlocking,
    Secrets,
    Services,
    Submit,
)
from mailward.api.views import EnvelopeView, Evidence, Link, MessageView, PartView, SessionView, TextPart
from mailward.formats.anomalies import ANOMALIES, Anomaly
from mailward.formats.domains import alike, normalise_domain
from mailward.formats.duration import parse_duration
from mailward.formats.header import FieldView
from mailward.formats.lines import LineFacts
from mailward.formats.mailboxes import AddressList, Mailbox
from mailward.formats.network import PRIVATE_NETWORKS, normal_ip, source_of
from mailward.formats.readings import Reading, Readings
from mailward.model.address import Address, ForwardPath, ReversePath
from mailward.model.dns import DnsAnswer, RecordType
from mailward.model.edits import AddHeader, Edit, PartEncoding, PrefixSubject, RemoveHeader, ReplaceHeader, ReplacePart
from mailward.model.evidence import AuthResult
from mailward.model.identity import Identity
from mailward.model.metrics import Counter, Gauge, Histogram
from mailward.model.session import ReverseName, ReverseResult, Role, TlsFacts
from mailward.model.tls import PolicyType, Tlsa, TlsLevel, TlsPolicy, TlsRequirement, TlsResult, TlsSession

__all__ = [
    "ANOMALIES",
    "API_VERSION",
    "PRIVATE_NETWORKS",
    "AccountCommand",
    "AddHeader",
    "Address",
    "AddressList",
    "Anomaly",
    "Asked",
    "AuthResult",
    "Capability",
    "Clock",
    "CommandAnswer",
    "CommandCall",
    "CommandFailed",
    "CommandGroup",
    "CommandOption",
    "Counter",
    "Credentials",
    "Delivery",
    "DnsAnswer",
    "DnsRecord",
    "DnsTemporaryError",
    "Edit",
    "EnvelopeView",
    "Evidence",
    "FactorAnswer",
    "Facts",
    "FieldView",
    "Finding",
    "Findings",
    "Folder",
    "FolderChoice",
    "ForwardPath",
    "Gauge",
    "Histogram",
    "Http",
    "HttpAnswer",
    "HttpFailed",
    "Identity",
    "KeyValue",
    "LineFacts",
    "Link",
    "Log",
    "LoginAttempt",
    "LoginOutcome",
    "LoginProtocol",
    "MailHost",
    "Mailbox",
    "Memory",
    "MessageClassified",
    "MessageMoved",
    "MessageView",
    "Metrics",
    "Origin",
    "PartEncoding",
    "PartView",
    "Plugin",
    "PolicyType",
    "PrefixSubject",
    "Reading",
    "Readings",
    "RecordType",
    "RelayOutcome",
    "Relaying",
    "RelayingAttempt",
    "RemoveHeader",
    "ReplaceHeader",
    "ReplacePart",
    "Resolver",
    "ReverseName",
    "ReversePath",
    "ReverseResult",
    "Role",
    "RunBlocking",
    "Secret",
    "Secrets",
    "ServerCall",
    "ServerCommand",
    "Services",
    "SessionView",
    "Settings",
    "Submit",
    "Symbol",
    "TextPart",
    "TlsFacts",
    "TlsLevel",
    "TlsPolicy",
    "TlsRequirement",
    "TlsResult",
    "TlsSession",
    "Tlsa",
    "UnsendableMessage",
    "alike",
    "hookimpl",
    "normal_ip",
    "normalise_domain",
    "parse_duration",
    "source_of",
]
