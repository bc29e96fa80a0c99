"""Our errors as Flight's: the status that a client knows, the message with what to do, and the whole error beside it as JSON."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyarrow import flight

from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Tampered, Unavailable, Unidentified

_log = logging.getLogger(__name__)
_STATUS: dict[type[ChengshuError], type[Exception]] = {
    Invalid: pa.ArrowInvalid,
    Unidentified: flight.FlightUnauthenticatedError,
    Denied: flight.FlightUnauthorizedError,
    NotFound: pa.ArrowKeyError,
    Conflict: flight.FlightUnavailableError,
    Unavailable: flight.FlightUnavailableError,
    Tampered: flight.FlightInternalError,
}


@contextmanager
def told() -> Iterator[None]:
    """Let errors leave as Flight's; what is no error of ours leaves without a word of its own, which could hold data.

    Nothing leaves with what it was raised from: pyarrow writes the traceback of errors such as ArrowInvalid into the status.
    """
    try:
        yield
    except ChengshuError as error:
        raise _as_flight(error) from None
    except flight.FlightError:
        raise
    except Exception:  # noqa: BLE001  # whatever it is, it is logged here and leaves without a word of its own
        _log.exception("a Flight request failed")
        raise flight.FlightInternalError(
            "flight.internal: expected an answer, got a fault of this node; its operator finds it in the log"
        ) from None


def _as_flight(error: ChengshuError) -> Exception:
    kind, words = _STATUS[type(error)], f"{error.code}: {error.message} {error.hint.en} {error.hint.zh}"
    beside: dict[str, Any] = {"extra_info": json.dumps(error.as_dict()).encode()} if issubclass(kind, flight.FlightError) else {}
    return kind(words, **beside)
