"""Names and side files of Maildirs; the lists were written by Dovecot."""

from mailward.formats.maildir import (
    Numbered,
    UidList,
    base_of,
    delivered_at,
    flags_of,
    keywords_text,
    letters_of,
    read_keywords,
    read_uid_list,
    uid_list_text,
)

LIST = """3 V1699999999 N12 G5a1f0a0b6d2e4f00a1b2c3d4e5f60718
3 W412 :1700000000.M1P2.host,S=400,W=412
7 P0000000a4b5c W90 :1700000001.M2P2.host,S=88:2,S
11 :1700000002.M3P2.host
"""


def test_flags_stand_behind_the_name() -> None:
    name = "1700000000.M1P2.host,S=400:2,FSac"
    assert base_of(name) == "1700000000.M1P2.host,S=400"
    assert flags_of(name, {"a": "$Label1"}) == ("\\Flagged", "\\Seen", "$Label1"), "c has no meaning here"
    assert flags_of("1700000000.M1P2.host", {}) == ()
    assert letters_of(["$label1", "\\Seen", "\\Recent", "\\Flagged", "$Forwarded"], ["$Label1"]) == "FPSa"
    assert (delivered_at(name), delivered_at("letter")) == (1_700_000_000, None)


def test_keywords_have_letters() -> None:
    assert read_keywords("0 $Label1\n1 NonJunk\n26 too-many\nx y\n") == {"a": "$Label1", "b": "NonJunk"}
    assert read_keywords(keywords_text(["$Label1", "NonJunk"])) == {"a": "$Label1", "b": "NonJunk"}


def test_dovecots_list_of_uids_is_read_and_written() -> None:
    found = read_uid_list(LIST)
    assert found == UidList(
        1_699_999_999,
        12,
        {
            "1700000000.M1P2.host,S=400,W=412": Numbered(3),
            "1700000001.M2P2.host,S=88": Numbered(7, "0000000a4b5c"),
            "1700000002.M3P2.host": Numbered(11),
        },
    )
    assert read_uid_list(uid_list_text(found, "0" * 32)) == found
    assert read_uid_list("1 1100000000 4\n3 1100000001.host\n") == UidList(1_100_000_000, 4, {"1100000001.host": Numbered(3)})


def test_what_is_no_list_of_uids_is_none() -> None:
    for text in ("", "\n", "2 V1 N1", "3 V1", "3 Vx N2", "1 2", "garbage"):
        assert read_uid_list(text) is None
