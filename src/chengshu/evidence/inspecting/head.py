"""A log's key and signed root, found even when one byte of them was changed, with what is wrong with their files."""

import string
from dataclasses import dataclass

from chengshu.evidence.checkpoint import Checkpoint, VerifierKey, open_checkpoint, parse_vkey
from chengshu.evidence.inspecting.damage import Problem, first_difference, single_change
from chengshu.evidence.storage.files import CHECKPOINT, VKEY, FileTiles
from chengshu.evidence.verify import no_log
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.text import Text

_ALPHABET = (string.digits + string.ascii_letters + string.punctuation + " \n—").encode()


@dataclass(frozen=True, slots=True)
class LogHead:
    """The signed root, or None where none can be made out; the size that is believed or claimed; and what is wrong."""

    checkpoint: Checkpoint | None
    size: int
    problems: tuple[Problem, ...]


def find_head(files: FileTiles, vkey: str | None) -> LogHead:
    """Return the log's signed root, with the changed byte named where the key's or the checkpoint's file was changed in one byte.

    Raises NotFound when there is neither a checkpoint nor a key, Invalid for a given key that is none.
    """
    note, beside = files.read(CHECKPOINT), files.read(VKEY)
    given = None if vkey is None else parse_vkey(vkey)
    if note is None or (given is None and beside is None):
        raise no_log(CHECKPOINT if note is None else VKEY)
    key, problems = _key(given, beside, note)
    if key is None:
        return LogHead(None, _claimed_size(note), tuple(problems))
    checkpoint = _opened(note, key)
    if checkpoint is None:
        checkpoint, problem = _mended(note, key)
        problems.append(problem)
    return LogHead(checkpoint, _claimed_size(note) if checkpoint is None else checkpoint.size, tuple(problems))


def _key(given: VerifierKey | None, beside: bytes | None, note: bytes) -> tuple[VerifierKey | None, list[Problem]]:
    if given is not None:
        line = f"{given}\n".encode()
        if beside is None or beside == line:
            return given, []
        return given, [Problem(VKEY, first_difference(beside, line), None, _OTHER_KEY, exact=True)]
    line = beside or b""
    key = _parsed(line)
    if key is not None:
        return key, []
    place = single_change(line, lambda tried: _signs(tried, note), alphabet=_ALPHABET)
    if place is None:
        return None, [Problem(VKEY, 0, None, _NO_KEY)]
    mended = (bytes([*line[:place], byte, *line[place + 1 :]]) for byte in _ALPHABET)
    return next(key for key in map(_parsed, mended) if key is not None), [Problem(VKEY, place, None, _NO_KEY, exact=True)]


def _mended(note: bytes, key: VerifierKey) -> tuple[Checkpoint | None, Problem]:
    """The checkpoint that was signed, when one changed byte is all that is wrong; a byte too many or too few at the end is as well."""
    for tried in (note + b"\n", note[:-1]):
        checkpoint = _opened(tried, key)
        if checkpoint is not None:
            return checkpoint, Problem(CHECKPOINT, min(len(note), len(tried)), None, _NOT_SIGNED, exact=True)
    place = single_change(note, lambda tried: _opened(tried, key) is not None, alphabet=_ALPHABET)
    if place is None:
        return None, Problem(CHECKPOINT, 0, None, _NOT_SIGNED)
    tries = (_opened(bytes([*note[:place], byte, *note[place + 1 :]]), key) for byte in _ALPHABET)
    return next(one for one in tries if one is not None), Problem(CHECKPOINT, place, None, _NOT_SIGNED, exact=True)


def _parsed(line: bytes) -> VerifierKey | None:
    try:
        key = parse_vkey(line.decode().removesuffix("\n"))
    except (ChengshuError, UnicodeDecodeError):
        return None
    return key if line == f"{key}\n".encode() else None


def _opened(note: bytes, key: VerifierKey) -> Checkpoint | None:
    try:
        return open_checkpoint(note, key=key)
    except ChengshuError:
        return None


def _signs(line: bytes, note: bytes) -> bool:
    key = _parsed(line)
    return key is not None and _opened(note, key) is not None


def _claimed_size(note: bytes) -> int:
    """The size that an unsigned checkpoint claims; 0 when it claims none. Nothing is proved from it."""
    lines = note.split(b"\n")
    is_number = len(lines) > 1 and lines[1].isdigit() and len(lines[1]) <= 18
    return int(lines[1]) if is_number else 0


_OTHER_KEY = Text("expected the key that you gave, got another", "应为您给出的公钥，实为其他公钥")
_NO_KEY = Text("expected one line with a verifier key, got something else", "应为一行验证公钥，实为其他内容")
_NOT_SIGNED = Text("expected the checkpoint as the log's key signed it, got something else", "应为日志密钥签署的检查点，实为其他内容")
