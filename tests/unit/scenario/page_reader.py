from html.parser import HTMLParser

import pyarrow as pa

VOID = {"meta", "input", "br", "link", "img", "hr"}


class Node:
    """An element of a page: its tag, attributes and children (elements and texts)."""

    def __init__(self, tag, attributes):
        self.tag, self.attributes, self.children = tag, dict(attributes), []

    def all(self, tag=None, **wanted):
        found = []
        for child in self.children:
            if isinstance(child, Node):
                if (tag is None or child.tag == tag) and all(
                    child.attributes.get(key.rstrip("_")) == value for key, value in wanted.items()
                ):
                    found.append(child)
                found += child.all(tag, **wanted)
        return found

    def text(self, language="en"):
        other = {"en": "zh", "zh": "en"}[language]
        parts = [child.text(language) if isinstance(child, Node) else child for child in self.children]
        return "" if self.tag not in {"html", "#page"} and self.attributes.get("lang") == other else "".join(parts)


class Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = Node("#page", [])
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        node = Node(tag, attrs)
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag):
        closed = self.open.pop()
        if closed.tag != tag:
            raise AssertionError(f"expected </{closed.tag}>, got </{tag}>")

    def handle_data(self, data):
        self.open[-1].children.append(data)


def read_page(text):
    """Return the page as a tree; fails where an element is not closed in order."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    if len(reader.open) != 1:
        raise AssertionError("expected every element closed")
    return reader.root


def table(page, caption, language="en"):
    """Return the body rows of the table with that caption, cell by cell, as texts."""
    for one in page.all("table"):
        if one.all("caption")[0].text(language).strip() == caption:
            return [
                [" ".join(cell.text(language).split()) for cell in row.children if isinstance(cell, Node)]
                for row in one.all("tbody")[0].all("tr")
            ]
    raise AssertionError(f"expected a table {caption!r}, got none")


def grid_of_lanes(count: int) -> pa.Table:
    """So many lanes of nine points each, slightly bent, on a plane of 4 km by 4 km."""
    starts = [((i * 37) % 4000, (i * 91) % 4000) for i in range(count)]
    xs = [[float(x + 12 * k) for k in range(9)] for x, _ in starts]
    ys = [[float(y + (k * k) % 7) for k in range(9)] for _, y in starts]
    return pa.table({"xs": xs, "ys": ys, "width_m": [3.2] * count, "is_internal": [False] * count})
