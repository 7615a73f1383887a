"""Nothing that people open fetches anything from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from kodomo_platform.quality.data_docs import offline

PAGE = """<html><head><link rel="stylesheet" href="https://cdn.example/x.css"><style>@import url(//x.example/y.css);</style>
<script src="https://cdn.example/x.js"></script><script>alert(1)</script></head><body onload="run()">
<img src='//cdn.example/a.png'><a href="https://example.org/more">more</a><a href="../../index.html">Home</a>
<footer>newsletter https://example.org</footer><p>kept</p></body></html>"""


class Fetched(HTMLParser):
    """What a browser would fetch or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "action", "data", "srcset") and value and re.match(r"\s*(https?:)?//", value):
                self.outside.append(f"{tag} {value}")
        if tag in ("script", "iframe", "link"):
            self.outside.append(tag)


def test_what_comes_from_outside_is_taken_out() -> None:
    page = offline(PAGE)
    found = Fetched()
    found.feed(page)
    assert found.outside == []
    assert "<p>kept</p>" in page
    assert "onload" not in page
    assert "@import" not in page
    assert 'href="index.html"' in page
    assert "Content-Security-Policy" in page
