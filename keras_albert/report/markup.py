"""Pieces of HTML; every text that goes in is escaped here."""

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence

from keras_albert.report.plots import Picture

# HTML allows no other control characters, not even as references.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Markup(str):
    """Text that is HTML already; what is added to it is escaped unless it is, too."""

    __slots__ = ()

    def __add__(self, other: str) -> "Markup":
        return Markup(str.__add__(self, text(other)))


def text(value: str) -> Markup:
    """Any text as HTML; control characters show as U+FFFD."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(_CONTROL.sub("\ufffd", value)))


def element(tag: str, content: str = "", **attributes: str) -> Markup:
    """An element; a trailing underscore of an attribute's name (`class_`) is dropped."""
    values = "".join(f' {name.rstrip("_")}="{text(v)}"' for name, v in attributes.items())
    return Markup(f"<{tag}{values}>{text(content)}</{tag}>")


def join(parts: Iterable[str], separator: str = "\n") -> Markup:
    """Pieces of HTML, or texts, one after the other."""
    return Markup(separator.join(map(text, parts)))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> Markup:
    """A table that scrolls on its own where it is wider than the page.

    Args:
        head: The columns' names; none for a table of names and values.
        rows: Of each row the cells, the first of which names it.
        numbers: Whether all cells but the first of a row are numbers, to stand one below the other.
    """
    side = {"class_": "number"} if numbers else {}
    lines = []
    if head:
        names = [element("th", head[0]), *(element("th", name, **side) for name in head[1:])]
        lines.append(element("thead", element("tr", join(names, ""))))
    body = [
        element("tr", join([element("th", name), *(element("td", c, **side) for c in cells)], ""))
        for name, *cells in rows
    ]
    lines.append(element("tbody", join(body)))
    return element("div", element("table", join(lines)), class_="scroll")


def figure(picture: Picture, title: str, alt: str, keys: Mapping[str, str] | None = None) -> Markup:
    """A picture in the page itself, for light and dark.

    Args:
        picture: The picture.
        title: Stands above it.
        alt: What it shows, for who cannot see it.
        keys: What its colours "first" and "second" stand for.
    """
    light, dark = (
        "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii") for svg in picture
    )
    image = Markup(
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{text(alt)}"></picture>'
    )
    marks = [
        element("span", element("i", class_=color) + meaning, class_="key")
        for color, meaning in (keys or {}).items()
    ]
    return element("figure", element("figcaption", join([element("b", title), *marks])) + image)
