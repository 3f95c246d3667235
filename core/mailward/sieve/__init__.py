"""Sieve (RFC 5228): scripts that say where mail goes, compiled, checked and run without any I/O."""

from mailward.sieve.check import ScriptError
from mailward.sieve.compiled import compile_script
from mailward.sieve.evaluate import Outcome, evaluate
from mailward.sieve.language import IMAP_LANGUAGE, LANGUAGE
from mailward.sieve.limits import LIMITS, Limits
from mailward.sieve.problems import Place, Problem
from mailward.sieve.running import Script
from mailward.sieve.world import Envelope, Owner, World

__all__ = [
    "IMAP_LANGUAGE",
    "LANGUAGE",
    "LIMITS",
    "Envelope",
    "Limits",
    "Outcome",
    "Owner",
    "Place",
    "Problem",
    "Script",
    "ScriptError",
    "World",
    "compile_script",
    "evaluate",
]
