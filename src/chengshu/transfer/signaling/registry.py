"""The control planes that may drive this data plane: one file that only the node's owner can read."""

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.secret_files import others_may_read
from chengshu.kernel.text import Text
from chengshu.transfer.flow.model import OWN

FILE_NAME = "control-planes.json"
MIN_SECRET = 16


class Answers(StrEnum):
    """Whether a flow is ready in the answer to its first message, or is said to be a moment later in a callback."""

    AT_ONCE = "at-once"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """One registered control plane: its callbacks go below ``url``, it proves itself by ``accepts``, and we to it by ``sends``."""

    name: str
    url: str
    accepts: str = field(repr=False)
    sends: str | None = field(default=None, repr=False)
    answers: Answers = Answers.AT_ONCE

    def owns(self, callback: str) -> bool:
        """Say whether a callback address is below this control plane's own."""
        return callback.rstrip("/") == self.url or callback.startswith(self.url + "/")


@dataclass(frozen=True, slots=True)
class ControlPlanes:
    """Those that are registered, by name; none where there is no file."""

    every: dict[str, ControlPlane]

    def get(self, name: str) -> ControlPlane:
        """Return one by name; raise NotFound where it is not registered any more."""
        if name not in self.every:
            raise NotFound("signaling.unknown", f"expected a registered control plane, got {name}", hint=_REGISTER)
        return self.every[name]

    def by_secret(self, shown: str) -> ControlPlane | None:
        """Return whose secret ``shown`` is, None where nobody's; it is compared with all, so that the time taken tells nothing."""
        found = [one for one in self.every.values() if hmac.compare_digest(one.accepts.encode(), shown.encode())]
        return found[0] if found else None


def read_control_planes(folder: Path) -> ControlPlanes:
    """Return the control planes that the file in a node's ``keys`` folder names, none where there is no file.

    Raises Invalid where others may read the file, or it is not a JSON array of objects with name, url and accepts.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return ControlPlanes({})
    if others_may_read(path):
        raise _wrong(path, "a file that only its owner may read", "one that others may read (chmod 600)")
    try:
        found = list(_entries(json.loads(path.read_text(encoding="utf-8"))))
    except (ValueError, TypeError, KeyError) as error:
        expected = f"an array of objects with name, url, accepts ({MIN_SECRET} characters or more), and perhaps sends and answers"
        raise _wrong(path, expected, "something else") from error
    named = {one.name: one for one in found}
    if len(named) != len(found) or len({one.accepts for one in found}) != len(found):
        raise _wrong(path, "a name and a secret of its own for each", "one that comes twice")
    return ControlPlanes(named)


def _entries(document: Any) -> Iterator[ControlPlane]:
    if not isinstance(document, list):
        raise TypeError("no array")
    for one in document:
        if not set(one) <= {"name", "url", "accepts", "sends", "answers"}:
            raise ValueError("another member")
        plane = ControlPlane(one["name"], one["url"].rstrip("/"), one["accepts"], one.get("sends"), Answers(one.get("answers", "at-once")))
        texts = [plane.name, plane.url, plane.accepts, plane.sends or "x"]
        if not all(text and len(text) <= 1024 and text.isascii() and text.isprintable() for text in texts):
            raise ValueError("texts of printable characters")
        if (
            plane.name == OWN
            or len(plane.name) > 64
            or len(plane.accepts) < MIN_SECRET
            or not plane.url.startswith(("http://", "https://"))
        ):
            raise ValueError("a name, a secret or a URL that does not do")
        yield plane


_REGISTER = Text("Register the control plane in keys/control-planes.json.", "请在 keys/control-planes.json 中登记该控制平面。")


def _wrong(path: Path, expected: str, got: str) -> Invalid:
    return Invalid("signaling.file", f"{path.name}: expected {expected}, got {got}", hint=_REGISTER)
