"""What a node tells a cell to do, and what it is told back: JSON both ways, for nothing that a method wrote may be unpickled by a node."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Sealing(StrEnum):
    """Whether a method runs only where the kernel offers the seal, or also where it does not."""

    REQUIRED = "required"
    OFFERED = "offered"


class Layer(StrEnum):
    """One of the walls round a method; the first two are the seal, the others are put up where the kernel offers them."""

    FILTER = "filter"
    PRIVILEGES = "privileges"
    LIMITS = "limits"
    LANDLOCK = "landlock"
    USER = "user"
    NETWORK = "network"
    PROCESSES = "processes"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class MethodLimits:
    """What one method may use: seconds of its processors, bytes of memory of its own, seconds from start to end."""

    cpu_s: float
    memory_bytes: int
    time_s: float


@dataclass(frozen=True, slots=True)
class Order:
    """One method to run: the function as ``module:function``, the numbers of the open files of its inputs, and what it may read.

    ``hidden`` is a folder that nothing is read from, whatever else is allowed; ``codes`` are the errors that the method declares.
    """

    run: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, int]
    codes: tuple[str, ...]
    limits: MethodLimits
    sealing: Sealing
    hidden: str

    def as_bytes(self) -> bytes:
        """Return the order as it is sent."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, data: bytes) -> "Order":
        """Return the order that :meth:`as_bytes` wrote."""
        given = json.loads(data)
        limits, sealing = MethodLimits(**given.pop("limits")), Sealing(given.pop("sealing"))
        return cls(**given | {"codes": tuple(given["codes"]), "limits": limits, "sealing": sealing})


def framed(header: Mapping[str, Any], *parts: bytes) -> bytes:
    """Return a header and what follows it as one message."""
    return b"".join([json.dumps(header).encode(), b"\n", *parts])


def unframed(message: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return header and rest of a message that :func:`framed` made; raise ValueError for any other bytes."""
    head, line, _ = message.partition(b"\n")
    header = json.loads(head)
    if not line or not isinstance(header, dict) or not isinstance(header.get("end"), str):
        raise ValueError("expected a header with its end, got other bytes")
    return header, memoryview(message)[len(head) + 1 :]
