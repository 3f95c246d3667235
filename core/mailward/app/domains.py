"""What it takes to serve a domain."""

from mailward.directory import ROLES, Directory
from mailward.model.address import Address
from mailward.model.ids import AccountId
from mailward.services.signing_keys import SigningKeys


def serve_domain(directory: Directory, keys: SigningKeys, name: str) -> tuple[str, ...]:
    """Take a domain's mail (A-labels, lower case) and sign what it sends; the selectors that sign.

    Keys first: mail of a domain that is served is never sent without a signature.
    """
    selectors = keys.ensure(name)
    directory.add_domain(name)
    return selectors


def give_roles(directory: Directory, domain: str, account: AccountId) -> None:
    """Let postmaster and abuse of a served domain be this account. Raises DirectoryError when one is another's."""
    for role in ROLES:
        directory.add_address(Address(role, domain), account)
