"""The verifier as one file: a zip application of the very modules that check evidence here, found by following their imports.

It needs Python 3.11 and ``cryptography``, and nothing of this package.
"""

import ast
import io
import sys
import zipfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeGuard

ENTRANCE = "chengshu.evidence.__main__"
ALLOWED_OUTSIDE = frozenset({"cryptography"})
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SHEBANG = b"#!/usr/bin/env python3\n"
_START = """import sys

if sys.version_info < (3, 11):
    sys.exit("expected Python 3.11 or newer / 需要 Python 3.11 或更高版本")

try:
    import cryptography
except ImportError:
    sys.exit("expected the package 'cryptography': pip install cryptography / 请先安装 cryptography")

from chengshu.evidence.__main__ import main

sys.exit(main())
""".encode()


def verifier_bytes() -> bytes:
    """Return the verifier as a zip application; the same sources give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted({**{_member(name): path.read_bytes() for name, path in modules().items()}, "__main__.py": _START}.items()):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.external_attr = 0o100644 << 16
            member.create_system = 3
            archive.writestr(member, data)
    return _SHEBANG + buffer.getvalue()


def modules(entrance: str = ENTRANCE) -> Mapping[str, Path]:
    """Return the modules of this package that ``entrance`` needs, by name, with their packages and their source files."""
    found: dict[str, Path] = {}
    waiting = [entrance]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = _source(name)
        parents = (name.rpartition(".")[0],) if "." in name else ()
        waiting.extend({*parents, *(one for one in imports(found[name]) if one.partition(".")[0] == "chengshu")})
    return found


def outside(entrance: str = ENTRANCE) -> frozenset[str]:
    """Return the top-level packages that the modules import beside this one and the standard library."""
    named = {name.partition(".")[0] for path in modules(entrance).values() for name in imports(path)}
    return frozenset(named - set(sys.stdlib_module_names) - {"chengshu"})


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of every module that a source file imports, wherever in the file, but for what only type checkers read."""
    tree = ast.parse(path.read_bytes())
    unread = {id(below) for node in ast.walk(tree) if _is_for_checkers(node) for one in node.body for below in ast.walk(one)}
    for node in ast.walk(tree):
        if id(node) in unread:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if _is_module(f"{node.module}.{alias.name}"))


def _is_for_checkers(node: ast.AST) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_module(name: str) -> bool:
    if not name.startswith("chengshu."):
        return False
    package = find_spec(name.rpartition(".")[0])
    return package is not None and package.submodule_search_locations is not None and find_spec(name) is not None


def _source(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ImportError(f"expected the source of {name}, got none")
    return Path(spec.origin)


def _member(name: str) -> str:
    """The path of a module in the archive."""
    path = name.replace(".", "/")
    return f"{path}/__init__.py" if _source(name).name == "__init__.py" else f"{path}.py"
