"""Machine code that Numba has kept is read by a sealed method and never written: what one job wrote, the next would run."""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_CACHING = "numba.core.caching"
PLACE = "NUMBA_CACHE_DIR"


def read_only() -> None:
    """Have Numba, once it is imported, neither test whether it may write beside the code nor keep what it compiles."""
    sys.meta_path.insert(0, _OnImport())


def places() -> Sequence[str]:
    """Return the folder of compiled code that the operator chose in place of those beside the code, if any."""
    chosen = os.environ.get(PLACE)
    return () if chosen is None else (os.path.realpath(chosen),)


class _OnImport(MetaPathFinder):
    def find_spec(self, fullname: str, *_where: object) -> ModuleSpec | None:
        if fullname != _CACHING:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def changed(module: ModuleType) -> None:
            run(module)
            module._CacheLocator.ensure_cache_path = _nothing  # noqa: SLF001  # Numba has no setting for it
            module.Cache._save_overload = _nothing  # noqa: SLF001  # as above

        spec.loader.exec_module = changed  # type: ignore[method-assign]  # this one loader's
        return spec


def _nothing(*_arguments: object) -> None:
    """Take the place of what is not to be done."""
