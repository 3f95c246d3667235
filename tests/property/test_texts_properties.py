"""Whatever HTML or text comes, there is a reading; a link that is there is found, whatever stands before it."""

from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.flowed import unflow
from mailward.formats.html import read_html
from mailward.formats.links import Link, resolved, written_links
from mailward.formats.message import MessageView

_OPENERS = (
    *(
        "<p>",
        "<table>",
        "<tr>",
        "<td>",
        "<select>",
        "<option>",
        "<svg>",
        "<math>",
        "<title>",
        "<textarea>",
        "<noframes>",
        "<noscript>",
    ),
    *(
        "<style>",
        "<script>",
        "<template>",
        "<xmp>",
        "<iframe>",
        "<plaintext>",
        "<frameset>",
        "<object>",
        "<b>",
        "<a>",
        "<a href=x>",
    ),
    *(
        "<head>",
        "<body>",
        "<html>",
        "<form>",
        "<button>",
        "<foreignObject>",
        "<desc>",
        "<base href=x>",
        "<dialog>",
        "<colgroup>",
        "<hr/>",
    ),
)
_CLOSERS = tuple(opener.replace("<", "</").partition(" ")[0].removesuffix(">") + ">" for opener in _OPENERS)
_HARMLESS = st.lists(
    st.sampled_from([*_OPENERS, *_CLOSERS, "x", " ", "&#0;", "\0", "&lt;", "]]>", "<br>", "\n"]), max_size=12
).map("".join)
_HOSTILE = st.lists(
    st.one_of(
        st.sampled_from([*_OPENERS, *_CLOSERS, "<!--", "-->", "<![CDATA[", "<", ">", '"', "'", "=", "href", "src=", "//"]),
        st.text(max_size=3),
    ),
    max_size=20,
).map("".join)


@given(_HOSTILE)
def test_any_html_is_read(html: str) -> None:
    found = read_html(html)
    assert "\0" not in found.text and len(set(found.links)) == len(found.links)
    assert all(link.url and isinstance(link.host + link.shown_host + link.scheme, str) for link in found.links)


@given(_HARMLESS, _HARMLESS)
def test_no_markup_hides_a_link(before: str, after: str) -> None:
    found = read_html(f"{before}<a href='https://planted.example/x'>seen</a>{after}")
    assert any(link.host == "planted.example" for link in found.links)


@given(_HARMLESS)
def test_a_link_keeps_its_text_whatever_the_text_holds(text: str) -> None:
    body = f"<p>{text.replace('<', '&lt;')}</p>"
    (link,) = read_html(f"x<a href=https://e.example>{body}</a>y").links
    assert link == Link("https://e.example", read_html(body).text.replace("\n", " "), "followed")


@given(st.text(max_size=40), st.sampled_from(["", "https://e.example/a/b?c", "x"]))
def test_an_address_once_resolved_stays(url: str, base: str) -> None:
    once = resolved(url, base)
    assert not set(once) & set("\t\r\n")
    if Link(once).scheme:
        assert resolved(once, base) == once


@given(st.text(st.sampled_from("a.:/<>@w \n()ht\u0660\ud800%[]"), max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert all(link.url and link.text for link in written_links(text))
    unflow(text)


@given(
    st.binary(max_size=200),
    st.sampled_from(["plain", "html", "plain; format=flowed"]),
    st.sampled_from(["utf-7", "utf-16", "gbk", "x"]),
)
def test_any_octets_of_a_text_are_read(octets: bytes, kind: str, charset: str) -> None:
    view = MessageView(f"Content-Type: text/{kind}; charset={charset}\r\n\r\n".encode() + octets)
    (text,) = view.texts()
    assert text.source in list(text.sources()) and isinstance(text.text, str)
    assert view.anomalies and list(view.links()) == list(text.links)
