"""How much may a script be, and how much may it do? (T-IMAP-20)"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds one script and one run of it. RFC 5228 section 2.10.5 asks for at least 15 nested blocks and tests.

    script_octets: of each script. nesting: blocks and tests inside each other. arguments: of one command or test.
    steps: commands and tests of one run, included scripts and repeated parts counted. characters: of text that a run may look
    through, once for each key. variable_characters: of one value; more is cut, as RFC 5229 section 3 allows.
    run_characters: of all values that a run makes. variables: names of one script. redirects, actions: of one run.
    includes: scripts inside each other. included: include commands of one run. regex_octets: of one compiled expression.
    marks: of one run, for `duplicate`. pattern_characters: of a key with wildcards. processor_s: of one run, whatever is counted.
    """

    script_octets: int = 256 * 1024
    nesting: int = 32
    arguments: int = 32
    steps: int = 50_000
    characters: int = 100_000_000
    variable_characters: int = 64 * 1024
    run_characters: int = 32 * 1024 * 1024
    variables: int = 256
    redirects: int = 4
    actions: int = 32
    includes: int = 10
    included: int = 255
    regex_octets: int = 1024 * 1024
    marks: int = 32
    pattern_characters: int = 4096
    processor_s: float = 2.0


LIMITS = Limits()
