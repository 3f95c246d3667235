"""What a person sees of HTML, and where it leads (T-MIME-26, T-DOS-10)."""

import time

import pytest

from mailward.formats.budgets import HTML_CHARACTERS, LINK_TEXT_CHARACTERS, LINKS
from mailward.formats.html import read_html
from mailward.formats.links import Link


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one  two</p><p>three<br>four", "one two\nthree\nfour"),
        ("<ul><li>a<li>b</ul><b>c</b>d", "a\nb\ncd"),
        ("<head><title>t</title></head><style>s</style>x<script>y</script>", "x"),
        ("<svg><title>a<svg><title>b</title></svg></title></svg>seen", "seen"),
        ("a<img src=x alt='a picture'>b", "a a picture b"),
        ("<noscript>no client runs scripts</noscript>", "no client runs scripts"),
        ("&lt;b&gt; &#0;&#60;a\0b", "<b> \ufffd<ab"),
        ("<template>x</template>y<!-- z -->", "y"),
        ("", ""),
        ("\ud800<a href=\ud800>", None),
    ],
)
def test_text_is_what_is_seen(html: str, text: str | None) -> None:
    found = read_html(html).text
    assert text is None or found == text


@pytest.mark.parametrize(
    ("html", "links"),
    [
        ("<a href='https://e.example/x'>go <b>on</b></a>", [Link("https://e.example/x", "go on", "followed")]),
        ("<a href=https://e.example><img alt='Log in'></a>", [Link("https://e.example", "Log in", "followed")]),
        ("<a name=top>x</a><a href='#top'>y</a><a href=''>z</a>", []),
        ("<map><area href=https://e.example alt=map></map>", [Link("https://e.example", "map", "followed")]),
        ("<svg><a xlink:href=https://e.example>s</a></svg>", [Link("https://e.example", "s", "followed")]),
        (
            "<base href=https://e.example/d/><a href=x>1</a><a href=//f.example/>2</a><a href=/y>3</a>",
            [
                Link("https://e.example/d/x", "1", "followed"),
                Link("https://f.example/", "2", "followed"),
                Link("https://e.example/y", "3", "followed"),
            ],
        ),
        ("<base href=javascript:><a href=x>1</a>", [Link("x", "1", "followed")]),
        (
            "<form action=https://e.example/login><input name=password><input type=submit formaction=https://f.example value=ok></form>",
            [Link("https://e.example/login", "", "submitted"), Link("https://f.example", "ok", "submitted")],
        ),
        ("<button formaction=https://f.example>press</button>", [Link("https://f.example", "press", "submitted")]),
        ("<meta http-equiv=ReFresh content=\"0 ; URL = 'https://e.example'\">", [Link("https://e.example", "", "refreshed")]),
        ("<body><meta http-equiv=refresh content='5,https://e.example'>", [Link("https://e.example", "", "refreshed")]),
        ("<meta http-equiv=content-type content='text/html; charset=utf-8'>", []),
        (
            "<img src=cid:a srcset='https://e.example/1,2.png 1x, https://e.example/3.png 2x,,'>",
            [
                Link("cid:a", "", "loaded"),
                Link("https://e.example/1,2.png", "", "loaded"),
                Link("https://e.example/3.png", "", "loaded"),
            ],
        ),
        (
            "<style>@import 'https://e.example/s.css'; a {b: URL( \"https://e.example/b.png\" )}</style>",
            [Link("https://e.example/s.css", "", "loaded"), Link("https://e.example/b.png", "", "loaded")],
        ),
        (
            "<td><table background=https://e.example/a style='x: url(https://e.example/b)'>",
            [Link("https://e.example/a", "", "loaded"), Link("https://e.example/b", "", "loaded")],
        ),
        (
            "<link rel=stylesheet href=https://e.example/s><iframe src=https://e.example/f></iframe><object data=https://e.example/o>",
            [Link(f"https://e.example/{x}", "", "loaded") for x in "sfo"],
        ),
        (
            "<a href=https://e.example/1>a<object><a href=https://e.example/2>b</a>c</object>d</a>",
            [Link("https://e.example/1", "abcd", "followed"), Link("https://e.example/2", "b", "followed")],
        ),
        ("<a href=https://e.example>x</a><a href=https://e.example>x</a>", [Link("https://e.example", "x", "followed")]),
    ],
)
def test_links_are_what_is_followed_or_loaded(html: str, links: list[Link]) -> None:
    assert list(read_html(html).links[:LINKS]) == links


def test_the_text_of_a_link_cannot_be_moved_by_text_that_looks_like_a_mark() -> None:
    html = "\0&lt;x\0>&#0;&lt;<a href=https://e.example>seen\0></a>&#0;) after"
    found = read_html(html)
    assert [link.text for link in found.links] == ["seen>"]
    assert found.text == "<x>\ufffd<seen>\ufffd) after"


@pytest.mark.parametrize(
    "veil", ["<textarea>", "<noframes>", "<title>", "<xmp>", "<iframe>", "<template>", "<!--[if gte mso 9]>"]
)
def test_links_are_found_where_only_some_clients_see_markup(veil: str) -> None:
    html = f'{veil}<a class=x href="https://e.example/?a&amp;b">x</a><img src=\'https://e.example/i\'><a href=3Dx">'
    veiled = [
        Link("https://e.example/?a&b", "", "followed"),
        Link("https://e.example/i", "", "loaded"),
        Link('3Dx"', "", "followed"),
    ]
    assert list(read_html(html).links[:LINKS]) == veiled
    assert read_html(f"<!-- {html[len(veil) :]} -->").links[:LINKS] == ()


def test_beyond_the_budgets_reading_ends() -> None:
    html = "".join(f"<a href=https://e.example/{n}>x</a>" for n in range(LINKS + 5))
    assert len(read_html(html).links[:LINKS]) == LINKS
    many = read_html(html)
    assert len(many.links) == LINKS + 1
    long = read_html(f"<a href=https://e.example>{'x' * 2000}</a>" + " " * HTML_CHARACTERS + "cut")
    assert not long.text.endswith("cut") and len(long.links[0].text) == LINK_TEXT_CHARACTERS


def test_html_nested_too_deep_gives_up_neither_text_nor_links() -> None:
    found = read_html("<i>" * 5000 + "<a href='https://e.example/?a&amp;b'>cl&#105;ck</a><img src=https://e.example/i>")
    assert found.text == "click"
    assert found.links == (Link("https://e.example/?a&b", "", "followed"), Link("https://e.example/i", "", "loaded"))


@pytest.mark.parametrize(
    "unit",
    [
        "<a href=x><object>",
        "<svg><title>",
        "<a href='",
        "<img srcset='x,,,,,,,,,,,,,,,,,,,,",
        "<meta http-equiv=refresh content='            ",
        "<img style='url(  url(",
        "<div></x>",
        "<a href=x>y</a>",
        "<img src=x alt=y>",
        "<a><img alt=",
        "href = ",
        "&#0;",
        "\0<",
        "<!--[if ",
        "<!--[if a]>",
        "<template>",
        "<textarea>",
        "<template><a href=x></template>",
    ],
)
def test_t_dos_10_hostile_html_is_read_in_linear_time(unit: str) -> None:
    def work_s(octets: int) -> float:
        html = unit * (octets // len(unit)) + "' ><p>seen"
        return min(once_s(html) for _ in range(3))

    def once_s(html: str) -> float:
        begun = time.process_time()
        read_html(html)
        return time.process_time() - begun

    assert work_s(800_000) < 12 * max(work_s(200_000), 0.02)


@pytest.mark.parametrize(
    "element", ["<img srcset='{}'>", "<meta http-equiv=refresh content='{}'>", "<i style='url({}'>", "<a href='{}'>"]
)
@pytest.mark.parametrize("filler", [",", " ", "\\", "a", "&#0;"])
def test_t_dos_10_a_long_attribute_is_read_in_linear_time(element: str, filler: str) -> None:
    begun = time.process_time()
    read_html(element.format(filler * (400_000 // len(filler))))
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("attribute", ["a{0}", "a{0}=1", 'a{0}="<b>"', "a{0}='>'", "=a{0}", 'a{0}"', "a{0}/"])
def test_t_dos_10_very_many_attributes_take_linear_time(attribute: str) -> None:
    """The parser compares each attribute of an element with all before it."""
    html = "<p>seen</p><a href=https://e.example/ " + " ".join(attribute.format(n) for n in range(100_000)) + ">link</a>"
    begun = time.process_time()
    found = read_html(html)
    assert time.process_time() - begun < 4
    assert "seen" in found.text and any(link.url == "https://e.example/" for link in found.links)


def test_a_tag_with_many_attributes_and_honest_ones_are_told_apart() -> None:
    html = "<p " + " ".join(f'data-{n}="a > b"' for n in range(90)) + ">seen <b>too</b></p>"
    assert read_html(html).text == "seen too"
