"""What MTA-STS policies and their announcements say (RFC 8461 sections 3.1, 3.2 and 4.1)."""

import pytest

from mailward_plugins.encryption.sts_policy import LONGEST_S, MOST_LINES, MOST_MX, PolicyInvalid, announced_id, read_policy

EXAMPLE = b"""version: STSv1\r
mode: enforce\r
mx: mail.example.com\r
mx: *.example.net\r
mx: backupmx.example.com\r
max_age: 604800\r
"""
"""The example of section 3.2."""


def test_the_example_of_the_rfc() -> None:
    policy = read_policy(EXAMPLE)
    assert (policy.mode, policy.max_age_s) == ("enforce", 604_800)
    assert policy.mx_hosts == ("mail.example.com", "*.example.net", "backupmx.example.com")
    assert read_policy(EXAMPLE.replace(b"\r\n", b"\n")) == policy


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("mail.example.com", True),
        ("mail.example.net", True),
        ("foo.bar.example.net", False),
        ("example.net", False),
        ("example.com", False),
        ("xmail.example.com", False),
        ("*.example.net", True),
    ],
)
def test_t_tls_22_a_star_stands_for_one_label(host: str, named: bool) -> None:
    """Section 4.1."""
    assert read_policy(EXAMPLE).names(host) is named


@pytest.mark.parametrize(
    ("change", "mode", "age_s"),
    [
        ((b"mode: enforce\r\n", b"mode: enforce\r\nmode: none\r\n"), "enforce", 604_800),
        ((b"version: STSv1\r\n", b"version: STSv1\r\nversion: STSv9\r\n"), "enforce", 604_800),
        ((b"max_age: 604800", b"max_age: 9999999999"), "enforce", LONGEST_S),
        ((b"max_age: 604800", b"max_age: 0"), "enforce", 0),
        ((b"mode: enforce", b"mode:testing  \r\nx-new: something"), "testing", 604_800),
        ((b"mode: enforce", b"\r\nmode: enforce"), "enforce", 604_800),
    ],
)
def test_t_tls_22_what_is_doubled_unknown_or_too_long(change: tuple[bytes, bytes], mode: str, age_s: int) -> None:
    """Of what comes twice the first counts; what is unknown means nothing (section 3.2)."""
    policy = read_policy(EXAMPLE.replace(*change))
    assert (policy.mode, policy.max_age_s) == (mode, age_s)


@pytest.mark.parametrize(
    "change",
    [
        (b"version: STSv1", b"version: STSv2"),
        (b"version: STSv1\r\n", b""),
        (b"mode: enforce", b"mode: strict"),
        (b"mode: enforce\r\n", b""),
        (b"max_age: 604800", b"max_age: -1"),
        (b"max_age: 604800", b"max_age: 1000000000000"),
        (b"max_age: 604800", b"max_age: \xd9\xa1"),
        (b"mx: mail.example.com", b"mx: a b"),
        (b"mx: mail.example.com", b"mx: *"),
        (b"mx: mail.example.com", b"mx: "),
        (b"\r\n", b"\r"),
        (b"version", b"<html>"),
        (EXAMPLE, b""),
        (EXAMPLE, b"\x00" * 1000),
    ],
)
def test_t_tls_22_a_policy_that_says_something_else_is_none(change: tuple[bytes, bytes]) -> None:
    with pytest.raises(PolicyInvalid):
        read_policy(EXAMPLE.replace(*change))


@pytest.mark.parametrize("more", ["mx: a.example\r\n" * MOST_MX, "x-y: z\r\n" * MOST_LINES])
def test_t_tls_22_a_policy_of_thousands_of_lines_is_none(more: str) -> None:
    with pytest.raises(PolicyInvalid, match="more than"):
        read_policy(EXAMPLE + more.encode())
    assert len(read_policy(EXAMPLE + more.encode()[: len(more) // 2]).mx_hosts) >= 3


@pytest.mark.parametrize(
    ("records", "found"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["v=spf1 -all", "v=STSv1; id=1; x=y"], "1"),
        (["v=STSv1; id=1;", "v=STSv1; id=1;"], None),
        (["v=STSv1; id=a-b;"], None),
        (["v=STSv1; id=" + "a" * 33], None),
        (["v=STSv1;"], None),
        (["v=STSv1; id=1; id=2"], None),
        (["v=STSv10; id=1"], None),
        (["id=1; v=STSv1"], None),
        ([], None),
    ],
)
def test_an_announcement_is_one_record_with_one_id(records: list[str], found: str | None) -> None:
    """Section 3.1."""
    assert announced_id(records) == found
