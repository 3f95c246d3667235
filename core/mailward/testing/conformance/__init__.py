"""Does a plugin keep what the server relies on? A class of tests that its author subclasses, and one line for the README."""

from mailward.testing.conformance.checks import Conformance

__all__ = ["Conformance"]
