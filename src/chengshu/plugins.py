"""What others may add: packs and methods, found by entry point."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.text import Text

PACKS = "chengshu.packs"
METHODS = "chengshu.methods"
SOURCES = "chengshu.sources"


def pack_roots() -> Iterator[Path]:
    """Yield the folder of every installed distribution of packs; an entry point's name is its sector."""
    for point in entry_points(group=PACKS):
        root = files(point.value)
        with_path = Path(str(root))
        if with_path.is_dir():
            yield with_path


def method(name: str) -> Any:
    """Return the sealed method of that name; raise NotFound with the names there are."""
    return _named(METHODS, name, what="method")


def source(name: str) -> Any:
    """Return the function that turns a pack's recording into what each party holds; raise NotFound with the names there are."""
    return _named(SOURCES, name, what="source")


def method_names() -> list[str]:
    """Return the names of every installed method, sorted."""
    return sorted(point.name for point in entry_points(group=METHODS))


def _named(group: str, name: str, *, what: str) -> Any:
    points = {point.name: point for point in entry_points(group=group)}
    if name not in points:
        raise NotFound(
            f"{what}.unknown",
            f"expected one of the installed {what}s ({', '.join(sorted(points)) or 'none'}), got {name}",
            hint=Text(f"Install the distribution that brings the {what}.", "请安装提供该插件的软件包。"),
        )
    return _load(points[name])


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise Invalid(
            "plugin.broken",
            f"expected entry point {point.name} to load {point.value}, got {type(error).__name__}",
            hint=Text("Reinstall the distribution that brings it.", "请重新安装提供该插件的软件包。"),
        ) from error
