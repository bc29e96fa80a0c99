"""Markup that is safe by construction: every text is escaped where an element is built, and nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from chengshu.kernel.text import Text


@dataclass(frozen=True, slots=True)
class Markup:
    """Markup that may be written as it is; templates recognise it by ``__html__``."""

    text: str

    def __html__(self) -> str:
        """Return the markup itself, so that a template does not escape it again."""
        return self.text


Content = Markup | Text | Mapping[str, str] | str | int | float | None
NOTHING = Markup("")


def element(name: str, attributes: Mapping[str, object], *children: Content) -> Markup:
    """Return ``<name …>children</name>``; attribute values and texts are escaped, sentences come in both languages."""
    tag = "tspan" if name in {"text", "tspan"} else "span"
    written = "".join(f' {key}="{escape(str(value))}"' for key, value in attributes.items())
    inner = "".join(both(child, tag=tag).text for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")


def joined(parts: Sequence[Markup]) -> Markup:
    """Return the parts one after another."""
    return Markup("".join(part.text for part in parts))


def both(content: Content, *, tag: str = "span") -> Markup:
    """Return a sentence in both languages, each in a ``tag`` with its ``lang``; other texts once, escaped; nothing as a dash."""
    match content:
        case Markup():
            return content
        case Text(en=en, zh=zh):
            return _pair(en, zh, tag)
        case Mapping():
            return _pair(content.get("en", ""), content.get("zh", ""), tag)
        case None | "":
            return Markup("—")
        case _:
            return Markup(escape(str(content)))


def sentence(en: str, zh: str) -> Markup:
    """Return one sentence in both languages."""
    return _pair(en, zh, "span")


def points(value: float) -> str:
    """Return a coordinate rounded to a tenth of a pixel, as short as it can be written."""
    return f"{value:.1f}".removesuffix(".0")


def _pair(en: object, zh: object, tag: str) -> Markup:
    english, chinese = str(en or zh or "—"), str(zh or en or "—")
    return Markup(f'<{tag} lang="en">{escape(english)}</{tag}><{tag} lang="zh">{escape(chinese)}</{tag}>')
