"""The page of a profile as tests read it, and a name that would break a careless one."""

from html.parser import HTMLParser
from pathlib import Path

from benchmark.results.page.document import write_page

HOSTILE = (
    """<script>alert("1")</script>' onclick='x" onmouseover="y {{ 7 * 7 }} </td></table>&amp;#"""
)
VOID = {"meta", "img", "link", "br", "input", "hr"}


class Page(HTMLParser):
    """Elements of a page as (tag, attributes, text); fails where they do not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names))
        self.elements.append([tag, dict(attributes), ""])
        if tag not in VOID:
            self._open.append(self.elements[-1])
        for ancestor in ("p", "a", "button"):  # browsers close these before another
            blocks = {"p", "table", "ul", "ol", "dl", "figure", "section", "details", ancestor}
            assert tag not in blocks or ancestor not in [one[0] for one in self._open[:-1]]

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for element in self._open:
            element[2] += data

    def all(self, tag, **wanted):
        return [
            element
            for element in self.elements
            if element[0] == tag
            and all(element[1].get(name.rstrip("_")) == value for name, value in wanted.items())
        ]


def squeezed(text):
    return " ".join(text.split())


def page_of(folder, cache=Path("nowhere")):
    path, _ = write_page(folder, cache)
    assert path == folder / "index.html"
    return Page(path.read_text("utf-8"))
