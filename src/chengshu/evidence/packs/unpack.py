"""A stranger's zip, unpacked within bounds: no name leaves the folder, no file grows beyond what is allowed."""

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

MAX_FILES = 200_000
MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_BYTES = 4 * 1024 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}){0,11}", re.ASCII)
_READ_BYTES = 1 << 20


@contextmanager
def unpacked(path: Path, *, limit: int = MAX_BYTES) -> Iterator[Path]:
    """Give a temporary folder with the zip's files; it is removed when the block is left.

    Raises Invalid, which names the member, for absolute names, names with ``..``, names that come twice, links, encrypted members,
    and zips that unpack to more than ``limit`` bytes (4 GiB), a file above 256 MiB, or more than 200,000 files.
    """
    with TemporaryDirectory(prefix="evidence-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, Path(folder), limit=limit)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            raise _refused(path.name, "a whole zip file", "a damaged one") from error
        yield Path(folder)


def _unpack(archive: zipfile.ZipFile, folder: Path, *, limit: int) -> None:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MAX_FILES:
        raise _refused("the zip", f"at most {MAX_FILES} files", f"{len(members)}")
    seen: set[str] = set()
    left = limit
    for member in members:
        _check(member, seen)
        left -= _extract(archive, member, folder / member.filename, limit=min(left, MAX_FILE_BYTES))


def _check(member: zipfile.ZipInfo, seen: set[str]) -> None:
    shown = ascii(member.filename)[:120]
    if _NAME.fullmatch(member.filename) is None or member.orig_filename != member.filename:
        raise _refused(shown, "a plain relative name", "one that could lead elsewhere")
    if member.filename.casefold() in seen:
        raise _refused(shown, "each name once", "one that comes twice")
    seen.add(member.filename.casefold())
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in {0, stat.S_IFREG} or member.flag_bits & 1:
        raise _refused(shown, "a plain file", "a link, a device or an encrypted file")
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise _refused(shown, "a stored or deflated file", "another compression")


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, *, limit: int) -> int:
    """Write the member and return its bytes; what the zip says of its own sizes is not believed."""
    written = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("xb") as file:
        while piece := source.read(_READ_BYTES):
            written += len(piece)
            if written > limit:
                raise _refused(ascii(member.filename), f"at most {limit} bytes", "more: it may be a zip bomb")
            file.write(piece)
    return written


def _refused(name: str, expected: str, got: str) -> Invalid:
    return Invalid(
        "evidence.zip",
        f"{name}: expected {expected}, got {got}",
        hint=Text(
            "Nothing was kept. Ask the sender for a pack made by 'chengshu evidence export'.",
            "未保留任何内容。请让发送方用 chengshu evidence export 重新导出。",
        ),
        facts={"file": name},
    )
