"""Is this the EICAR test file? All that can be said where no scanner is set up; the file every scanner agrees to report."""

from mailward_plugins.antivirus.instream import ScanReply
from mailward_plugins.antivirus.rules import Octets

_EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""In two pieces, so that no scanner takes this file for it."""

NAME = "Eicar-Test-File"


def look_for_test_file(octets: Octets) -> ScanReply:
    """As a scanner would answer that knows this one file."""
    return ScanReply(NAME if octets.find(_EICAR) >= 0 else "")
