"""Which files a sealed method may read: the code that it is made of and the few facts about a machine that computing needs."""

import sys
import sysconfig
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo")
_MACHINE = ("/sys/devices/system/cpu", "/sys/devices/system/node")
_FILES = frozenset(
    {
        *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/etc/ld.so.cache", "/etc/localtime"),
        *("/proc/cpuinfo", "/proc/meminfo", "/proc/sys/vm/overcommit_memory", "/sys/kernel/mm/transparent_hugepage/enabled"),
    }
)
_CODE = frozenset({".py", ".pyc", ".so", ".nbi", ".nbc"})


class Reach:
    """Judges real paths: everything of the Python installation passes; elsewhere on the search path only packages and modules do.

    A search path may hold anything, the present folder for one; so a file there passes only inside a package or as a module, and never
    below ``hidden``, the folder that the node keeps its keys in.
    """

    def __init__(self, *, hidden: str, caches: Sequence[str] = ()) -> None:
        installed = {Path(one).resolve() for one in _installed()}
        self._installed = tuple(sorted(str(one) for one in installed | {Path(one) for one in (*_LIBRARIES, *_MACHINE, *caches)}))
        self._files = _FILES | {str(Path(sys.executable).resolve())}
        searched = {Path(one).resolve() for one in sys.path if Path(one).is_absolute() and Path(one).is_dir()}
        self._searched = tuple(sorted(one for one in searched if not _below(str(one), self._installed)))
        self._hidden = str(Path(hidden).resolve()) if hidden else ""

    def allows(self, real: str, *, folder: bool) -> bool:
        """Return whether the file or folder at a path without links may be read."""
        if real in self._files or _below(real, self._installed):
            return True
        if self._hidden and _below(real, (self._hidden,)):
            return False
        return any(_is_code(Path(real), root, folder=folder) for root in self._searched if _below(real, (str(root),)))


def _installed() -> Iterator[str]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    prefixes = {sys.prefix, sys.base_prefix}
    for prefix in prefixes:
        paths = sysconfig.get_paths(vars=dict.fromkeys(("base", "platbase", "installed_base", "installed_platbase"), prefix))
        yield from (paths[name] for name in names)
        yield from (one for one in sys.path if _below(one, (f"{prefix}/lib", f"{prefix}/lib64")))


def _below(path: str, roots: Sequence[str]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def _is_code(path: Path, root: Path, *, folder: bool) -> bool:
    inside = path.relative_to(root).parts
    if len(inside) <= 1 and (folder or path.suffix in _CODE):
        return True
    return bool(inside) and _is_package(root / inside[0])


@cache
def _is_package(folder: Path) -> bool:
    return folder.suffix in {".dist-info", ".egg-info"} or folder.name == "__pycache__" or (folder / "__init__.py").is_file()
