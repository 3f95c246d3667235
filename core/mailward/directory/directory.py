"""The embedded directory, one small SQLite file read by every process of the server.

Reads come from a copy in memory that is renewed when another connection has changed the file (PRAGMA data_version), so
resolving a forward-path costs microseconds and a change by `mailward account` counts at once. No secret is read here: what
logins are checked against is `credentials`' business.
"""

import secrets
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mailward.directory.aliases import MOST_ENDS, MOST_STEPS, Alias, MayPass, Meaning, NoEnd, Way, anybody, circle, expand, shown
from mailward.directory.errors import DirectoryError
from mailward.directory.groups import Groups, check_group, join, leave
from mailward.directory.quotas import Owner, Quotas, put
from mailward.directory.schema import open_file
from mailward.formats.address import parse_mailbox
from mailward.model.address import Address
from mailward.model.ids import AccountId
from mailward.model.limits import NO_LIMITS, MailLimits
from mailward.protocol.scram import ITERATIONS, SALT_OCTETS

ROLES = ("postmaster", "abuse")
"""Local-parts that somebody reads in every domain (RFC 5321 section 4.5.1, RFC 2142 section 4)."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account. id: never changes and names its folder in the store; address: where its own mail comes to."""

    id: AccountId
    address: Address


@dataclass(frozen=True, slots=True)
class FurtherAddress:
    """A further address of an account: its user may send by it and log in with it."""

    address: Address
    account: Account


@dataclass(frozen=True, slots=True)
class Names:
    """Of some mailboxes. addresses: the accounts' own, in lower case, in the order asked. groups: that any is in, sorted."""

    addresses: tuple[str, ...]
    groups: tuple[str, ...]


_Addresses = Mapping[tuple[str, str], AccountId]
"""(local-part in lower case, domain) -> whose."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """given: what was given to accounts; by_address: that, and the roles that were not. aliases: by local-part and domain."""

    version: int
    domains: tuple[str, ...]
    accounts: tuple[Account, ...]
    by_id: Mapping[AccountId, Account]
    given: _Addresses
    by_address: _Addresses
    aliases: Mapping[tuple[str, str], Alias]
    groups: Groups
    quotas: Quotas

    def meaning(self, address: Address) -> Meaning:
        """What an address means by itself, without following an alias."""
        exact, domain = _key(address)
        if domain and domain not in self.domains:
            return NoEnd.ELSEWHERE
        base = exact.partition("+")[0]
        known: Sequence[Mapping[tuple[str, str], AccountId | Alias]] = (self.given, self.aliases)
        for some, name in (*((one, exact) for one in known), *((one, base) for one in known)):
            if name and (name, domain) in some:
                return some[name, domain]
        role = self.by_address.get((exact, domain)) or self.by_address.get((base, domain))
        if role is not None:
            return role
        return self.aliases.get(("", domain), NoEnd.NOBODY)


class Directory:
    """Domains, accounts, aliases and groups. Local-parts are compared without case; "+tag" after a known one is a subaddress.

    A role (postmaster, abuse) of a domain that was given to nobody there, and the bare <postmaster>, goes to the postmaster of
    the oldest account's domain; where that too was given to nobody, to the oldest account. So as long as there is an account,
    every domain has both, whatever is added and removed.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it. Raises StorageError."""
        self._database = open_file(path)
        self._lock = threading.Lock()
        self._kept: _Copy | None = None

    def close(self) -> None:
        self._database.close()

    def domains(self) -> tuple[str, ...]:
        """The domains served here, as A-labels, sorted."""
        return self._copy().domains

    def is_local_domain(self, domain: str) -> bool:
        """Is final delivery for this domain (A-labels, lower case) here?"""
        return domain in self._copy().domains

    def accounts(self) -> tuple[Account, ...]:
        """All accounts in the order they were made."""
        return self._copy().accounts

    def has_account(self, account: AccountId) -> bool:
        """Is there still such an account?"""
        return account in self._copy().by_id

    def resolve(self, address: Address) -> AccountId | None:
        """Whose mailbox an address means, None when nobody's.

        The whole local-part first, then what stands before "+" (RFC 5233).
        """
        by_address, domain, local_part = self._copy().by_address, address.domain, address.local_part.lower()
        return by_address.get((local_part, domain)) or by_address.get((local_part.partition("+")[0], domain))

    def detail(self, address: Address) -> str:
        """What stands behind the "+" of a subaddress, as it was written (RFC 5233 section 4); "" for nothing.

        There is nothing where the whole local-part is an address of its own.
        """
        if "+" not in address.local_part:
            return ""
        copy, key = self._copy(), _key(address)
        is_whole = key in copy.by_address or key in copy.aliases
        return "" if is_whole else address.local_part.partition("+")[2]

    def account(self, address: Address) -> Account | None:
        """The account whose mailbox an address means."""
        found = self.resolve(address)
        return next((account for account in self.accounts() if account.id == found), None)

    def addresses_of(self, account: AccountId) -> tuple[Address, ...]:
        """All addresses of an account, its own first; () when there is no such account."""
        copy = self._copy()
        own = copy.by_id.get(account)
        if own is None:
            return ()
        key = _key(own.address)
        return (own.address, *(Address(*name) for name, owner in copy.given.items() if owner == account and name != key))

    def further_addresses(self) -> tuple[FurtherAddress, ...]:
        """What was given to accounts beside their own addresses, by domain and local-part."""
        copy = self._copy()
        accounts = {account.id: account for account in copy.accounts}
        return tuple(
            FurtherAddress(Address(local_part, domain), accounts[account])
            for (local_part, domain), account in sorted(copy.given.items(), key=lambda item: item[0][::-1])
            if _key(accounts[account].address) != (local_part, domain)
        )

    def aliases(self) -> tuple[Alias, ...]:
        """By domain and local-part, a catch-all before the others of its domain."""
        found = self._copy().aliases
        return tuple(found[key] for key in sorted(found, key=lambda key: key[::-1]))

    def expand(self, address: Address, may_pass: MayPass = anybody) -> tuple[Way, ...]:
        """Everywhere that mail for an address goes in the end; () when it is nobody's here, or no way may be passed.

        An account's address counts before an alias, both before a subaddress of either, roles that were given to nobody before a
        catch-all. An address of a domain that is not ours is its own end, elsewhere.
        """
        return expand(address, self._copy().meaning, may_pass)

    def groups(self) -> Mapping[str, tuple[Account, ...]]:
        """Every group's members by its name, both in order."""
        copy = self._copy()
        accounts = {account.id: account for account in copy.accounts}
        return {name: tuple(accounts[one] for one in some if one in accounts) for name, some in copy.groups.members.items()}

    def groups_of(self, accounts: Iterable[AccountId]) -> tuple[str, ...]:
        """The names of the groups that any of these accounts is in, sorted."""
        return self._copy().groups.of(accounts)

    def groups_behind(self, address: Address) -> tuple[str, ...]:
        """The same of every mailbox that mail for an address goes to in the end."""
        return self.groups_of(self.accounts_behind(address))

    def accounts_behind(self, address: Address) -> tuple[AccountId, ...]:
        """Whose mailboxes these are."""
        return tuple(way.account for way in self.expand(address) if way.account is not None)

    def names_of(self, accounts: Sequence[AccountId]) -> Names:
        """What policies call these mailboxes by."""
        copy = self._copy()
        addresses = tuple(str(copy.by_id[account].address).lower() for account in accounts if account in copy.by_id)
        return Names(addresses, copy.groups.of(accounts))

    def limits_of(self, account: AccountId) -> MailLimits:
        """How much mail an account may hold: what was set for it, else for its domain. No limits for one that is not there."""
        copy = self._copy()
        found = copy.by_id.get(account)
        return NO_LIMITS if found is None else copy.quotas.of(account, found.address.domain)

    def quotas(self) -> Quotas:
        """As they were set."""
        return self._copy().quotas

    def set_quota(self, owner: Owner, name: str, limits: MailLimits) -> None:
        """Of an account, by its id, or a domain. What is None for an account is as its domain says; NO_LIMIT is none."""
        with self._database.write() as connection:
            put(connection, owner, name, limits)
        self._forget()

    def capabilities_off(self, account: AccountId) -> frozenset[str]:
        """What IMAP does not offer to this account's user."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT capability FROM capability_off WHERE account = ?", (account,))
            return frozenset(capability for (capability,) in rows)

    def set_capabilities_off(self, account: AccountId, capabilities: Iterable[str]) -> None:
        """In place of those before."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM capability_off WHERE account = ?", (account,))
            connection.executemany("INSERT INTO capability_off VALUES (?, ?)", [(account, one) for one in sorted(capabilities)])

    def disabled(self) -> frozenset[AccountId]:
        """The accounts that nobody can log in to, whatever is known of their secrets; their mail still comes."""
        with self._database.read() as connection:
            return frozenset(AccountId(account) for (account,) in connection.execute("SELECT account FROM disabled"))

    def set_disabled(self, account: AccountId, disabled: bool) -> None:
        """One of these from now on, or none any more. Sessions that are open are the business of who checks logins."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM disabled WHERE account = ?", (account,))
            if disabled:
                connection.execute("INSERT INTO disabled VALUES (?)", (account,))

    def check_free(self, address: Address) -> None:
        """Can this address be given to an account? Raises DirectoryError as `add_account` does."""
        with self._database.read() as connection:
            _check_free(connection, address)

    def add_domain(self, name: str) -> None:
        """Serve a domain (A-labels, lower case); one that is served already stays as it is."""
        with self._database.write() as connection:
            connection.execute("INSERT OR IGNORE INTO domain VALUES (?)", (name,))
        self._forget()

    def add_account(self, address: Address) -> AccountId:
        """Make an account in a served domain; nobody can log in to it until it has a password.

        Raises DirectoryError when the address is taken or the domain unknown.
        """
        account = AccountId(secrets.token_hex(8))
        with self._database.write() as connection:
            _check_free(connection, address)
            row = (account, address.local_part, address.domain)
            connection.execute("INSERT INTO account (id, local_part, domain) VALUES (?, ?, ?)", row)
            salt = (account, secrets.token_bytes(SALT_OCTETS), ITERATIONS)
            connection.execute("INSERT INTO credential (account, scram_salt, scram_iterations) VALUES (?, ?, ?)", salt)
            connection.execute("INSERT INTO address VALUES (?, ?, ?)", (*_key(address), account))
        self._forget()
        return account

    def remove_account(self, account: AccountId) -> None:
        """Forget an account, its further addresses, its groups, what it could log in with. Its mail is not the directory's.

        Raises DirectoryError when there is none, and while it owns a list: its reports would go to whoever posts.
        """
        with self._database.write() as connection:
            owned = [alias.name for alias in _aliases(connection).values() if _is_owned(connection, alias, account)]
            if owned:
                raise DirectoryError(f"the account owns {_some(owned)}; give the list another owner, or remove it first")
            for table in ("app_password", "credential", "address", "membership", "capability_off", "disabled"):
                connection.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608 - names of ours
            put(connection, "account", account, NO_LIMITS)
            if connection.execute("DELETE FROM account WHERE id = ?", (account,)).rowcount == 0:
                raise DirectoryError(f"there is no account {account}")
        self._forget()

    def remove_domain(self, name: str) -> None:
        """Serve a domain no longer; further addresses and aliases in it go.

        Raises DirectoryError while it has accounts, while aliases of other domains lead into it, whose mail would begin to leave
        for elsewhere, and when it is not served.
        """
        with self._database.write() as connection:
            left = connection.execute("SELECT local_part FROM account WHERE domain = ? ORDER BY number", (name,)).fetchall()
            if left:
                accounts = [f"{local_part}@{name}" for (local_part,) in left]
                raise DirectoryError(f"the domain {name} still has accounts; remove them first: {_some(accounts)}")
            leading = [alias.name for alias in _aliases(connection).values() if _leads_into(alias, name)]
            if leading:
                raise DirectoryError(f"aliases lead into {name}; change or remove them first: {_some(leading)}")
            for table in ("address", "alias_target", "alias"):
                connection.execute(f"DELETE FROM {table} WHERE domain = ?", (name,))  # noqa: S608 - names of ours
            put(connection, "domain", name, NO_LIMITS)
            if connection.execute("DELETE FROM domain WHERE name = ?", (name,)).rowcount == 0:
                raise DirectoryError(f"the domain {name} is not served here")
        self._forget()

    def add_address(self, address: Address, account: AccountId) -> None:
        """Let a further address mean an account; one that is the account's already stays as it is.

        Raises DirectoryError as `add_account` does.
        """
        with self._database.write() as connection:
            owner = _owner(connection, address)
            if owner is not None and owner.id == account:
                return
            _check_free(connection, address)
            if connection.execute("SELECT 1 FROM account WHERE id = ?", (account,)).fetchone() is None:
                raise DirectoryError(f"there is no account {account}")
            connection.execute("INSERT INTO address VALUES (?, ?, ?)", (*_key(address), account))
        self._forget()

    def remove_address(self, address: Address) -> None:
        """Raises DirectoryError when it is none: nobody's, or an account's own address."""
        with self._database.write() as connection:
            found = _owner(connection, address)
            if found is None:
                raise DirectoryError(f"{address} is no further address of an account")
            if _key(found.address) == _key(address):
                raise DirectoryError(f"{address} is no further address but an account's own")
            connection.execute("DELETE FROM address WHERE local_part = ? AND domain = ?", _key(address))
        self._forget()

    def add_alias(self, alias: Alias) -> None:
        """Let an address of a served domain lead to others; what was an alias already leads there from now on.

        Raises DirectoryError when the address is an account's, the domain unknown, a target nobody's, the owner no account's, or
        when it would go in a circle.
        """
        key = _key(alias.address)
        _check_alias(alias, self._copy())
        with self._database.write() as connection:
            _check_free(connection, alias.address, but_alias=True)
            _delete_alias(connection, key)
            owner = None if alias.owner is None else str(alias.owner)
            connection.execute("INSERT INTO alias VALUES (?, ?, ?, ?)", (*key, owner, alias.members_only))
            rows = [(*key, target) for target in dict.fromkeys(map(shown, alias.targets))]
            connection.executemany("INSERT INTO alias_target (local_part, domain, target) VALUES (?, ?, ?)", rows)
        self._forget()

    def add_to_group(self, name: str, accounts: Sequence[AccountId]) -> None:
        """Let accounts be in a group, which begins with its first member; who is in it already stays.

        Raises DirectoryError for a name that a group cannot have and for no such account.
        """
        with self._database.write() as connection:
            check_group(name, Groups.read(connection))
            join(connection, name, accounts)
        self._forget()

    def remove_from_group(self, name: str, accounts: Sequence[AccountId]) -> None:
        """Let accounts be in a group no longer; it ends with its last member."""
        with self._database.write() as connection:
            leave(connection, name, accounts)
        self._forget()

    def remove_alias(self, address: Address) -> None:
        """Raises DirectoryError when it is none."""
        with self._database.write() as connection:
            if not _delete_alias(connection, _key(address)):
                raise DirectoryError(f"there is no alias {shown(address)}")
        self._forget()

    def _forget(self) -> None:
        """data_version does not count our own changes."""
        with self._lock:
            self._kept = None

    def _copy(self) -> _Copy:
        with self._database.read() as connection:
            version: int = connection.execute("PRAGMA data_version").fetchone()[0]
            kept = self._kept
            if kept is not None and kept.version == version:
                return kept
            domains = tuple(name for (name,) in connection.execute("SELECT name FROM domain ORDER BY name"))
            rows = connection.execute("SELECT id, local_part, domain FROM account ORDER BY number").fetchall()
            addresses = connection.execute("SELECT local_part, domain, account FROM address").fetchall()
            aliases, groups, given_quotas = _aliases(connection), Groups.read(connection), Quotas.read(connection)
        accounts = tuple(Account(AccountId(row[0]), Address(row[1], row[2])) for row in rows)
        given = {(local_part, domain): AccountId(account) for local_part, domain, account in addresses}
        made = _Copy(
            version,
            domains,
            accounts,
            {one.id: one for one in accounts},
            given,
            _roles(domains, accounts, given) | given,
            aliases,
            groups,
            given_quotas,
        )
        with self._lock:
            self._kept = made
        return made


def _roles(domains: tuple[str, ...], accounts: tuple[Account, ...], given: _Addresses) -> dict[tuple[str, str], AccountId]:
    """Who has the roles that were given to nobody; the bare <postmaster> has no domain."""
    if not accounts:
        return {}
    oldest = accounts[0]
    postmaster = given.get(("postmaster", oldest.address.domain), oldest.id)
    return {(role, domain): postmaster for domain in domains for role in ROLES} | {("postmaster", ""): postmaster}


def _key(address: Address) -> tuple[str, str]:
    return address.local_part.lower(), address.domain


def _check_free(connection: sqlite3.Connection, address: Address, *, but_alias: bool = False) -> None:
    """but_alias: may it be an alias?"""
    if connection.execute("SELECT 1 FROM domain WHERE name = ?", (address.domain,)).fetchone() is None:
        raise DirectoryError(f"the domain {address.domain} is not served here")
    owner = _owner(connection, address)
    if owner is not None:
        is_own = _key(owner.address) == _key(address)
        raise DirectoryError(
            f"{address} is taken: it is {'the' if is_own else 'a further address of the'} account {owner.address}"
        )
    alias = connection.execute("SELECT 1 FROM alias WHERE local_part = ? AND domain = ?", _key(address)).fetchone()
    if alias is not None and not but_alias:
        raise DirectoryError(f"{address} is taken: it is an alias; mailward alias remove takes it away")


def _owner(connection: sqlite3.Connection, address: Address) -> Account | None:
    """The account that an address was given to."""
    row = connection.execute(
        "SELECT account.id, account.local_part, account.domain FROM address JOIN account ON account.id = address.account "
        "WHERE address.local_part = ? AND address.domain = ?",
        _key(address),
    ).fetchone()
    return None if row is None else Account(AccountId(row[0]), Address(row[1], row[2]))


def _is_owned(connection: sqlite3.Connection, alias: Alias, account: AccountId) -> bool:
    owner = None if alias.owner is None else _owner(connection, alias.owner)
    return owner is not None and owner.id == account


def _leads_into(alias: Alias, domain: str) -> bool:
    return alias.address.domain != domain and any(target.domain == domain for target in alias.targets)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")


def _aliases(connection: sqlite3.Connection) -> dict[tuple[str, str], Alias]:
    targets: dict[tuple[str, str], list[Address]] = {}
    for local_part, domain, target in connection.execute("SELECT local_part, domain, target FROM alias_target ORDER BY number"):
        targets.setdefault((local_part, domain), []).append(_stored(target))
    rows = connection.execute("SELECT local_part, domain, owner, members_only FROM alias")
    return {
        (local_part, domain): Alias(
            Address(local_part, domain),
            tuple(targets[local_part, domain]),
            None if owner is None else _stored(owner),
            bool(members),
        )
        for local_part, domain, owner, members in rows
    }


def _stored(text: str) -> Address:
    """What `shown` wrote."""
    return Address("", text[1:]) if text.startswith("@") else parse_mailbox(text)


def _delete_alias(connection: sqlite3.Connection, key: tuple[str, str]) -> bool:
    connection.execute("DELETE FROM alias_target WHERE local_part = ? AND domain = ?", key)
    return connection.execute("DELETE FROM alias WHERE local_part = ? AND domain = ?", key).rowcount > 0


def _check_alias(alias: Alias, copy: _Copy) -> None:
    """Raises DirectoryError for what could not work."""
    if not 0 < len(alias.targets) <= MOST_ENDS:
        raise DirectoryError(f"{alias.name} needs 1 to {MOST_ENDS} addresses that it leads to")
    changed = replace(copy, aliases={**copy.aliases, _key(alias.address): alias})
    for target in alias.targets:
        if not target.local_part and target.domain not in copy.domains:
            raise DirectoryError(f"{shown(target)} is not served here; a whole domain can lead to one of this server only")
        if target.local_part and changed.meaning(target) is NoEnd.NOBODY:
            raise DirectoryError(f"{target} is nobody's address here; mailward account list and mailward alias list show them")
    if alias.owner is not None and not isinstance(copy.meaning(alias.owner), str):
        raise DirectoryError(f"{alias.owner} is no account's address, so it cannot own a list")
    way = circle(alias, changed.meaning)
    if way:
        steps = " -> ".join(step.name for step in way)
        why = "in a circle" if way[0].address == way[-1].address else f"over more than {MOST_STEPS} aliases"
        raise DirectoryError(f"{alias.name} would lead {why}: {steps}")
