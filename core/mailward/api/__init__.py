"""All that a plugin may import from Mailward (API version 1). `__all__` is the contract."""

from mailward.api.hooks import MessageMoved, hookimpl
from mailward.api.plugin import API_VERSION, Asked, Facts, Finding, Findings, Plugin, Settings, Symbol
from mailward.api.services import Clock, DnsAnswer, DnsTemporaryError, KeyValue, Log, RecordType, Resolver, RunBlocking, Services
from mailward.api.views import EnvelopeView, Evidence, MessageView, PartView, SessionView, TextPart
from mailward.model.address import Address, ForwardPath, ReversePath
from mailward.model.edits import AddHeader, Edit, PrefixSubject, RemoveHeader
from mailward.model.evidence import AuthResult
from mailward.model.session import Role

__all__ = [
    "API_VERSION",
    "AddHeader",
    "Address",
    "Asked",
    "AuthResult",
    "Clock",
    "DnsAnswer",
    "DnsTemporaryError",
    "Edit",
    "EnvelopeView",
    "Evidence",
    "Facts",
    "Finding",
    "Findings",
    "ForwardPath",
    "KeyValue",
    "Log",
    "MessageMoved",
    "MessageView",
    "PartView",
    "Plugin",
    "PrefixSubject",
    "RecordType",
    "RemoveHeader",
    "Resolver",
    "ReversePath",
    "Role",
    "RunBlocking",
    "Services",
    "SessionView",
    "Settings",
    "Symbol",
    "TextPart",
    "hookimpl",
]
