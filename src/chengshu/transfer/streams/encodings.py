"""The forms in which a product's rows go out, and which of them a receiver asks for (RFC 9110 ``Accept``)."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from chengshu.catalog.ports import Rows
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.transfer.streams.arrow import MEDIA_TYPE, to_plain_stream, to_stream
from chengshu.transfer.streams.rows import CSV, JSON_LINES, to_csv, to_json_lines


@dataclass(frozen=True, slots=True)
class Encoding:
    """One form: its media type, the end of a file's name, and how rows become pieces, one a record batch (Arrow has one more)."""

    media_type: str
    suffix: str
    pieces: Callable[[Rows], Generator[bytes | memoryview]]


ARROW = Encoding(MEDIA_TYPE, "arrows", to_stream)
ENCODINGS = (ARROW, Encoding(CSV, "csv", to_csv), Encoding(JSON_LINES, "jsonl", to_json_lines))
"""In the order of preference, where a receiver does not mind."""

PLAIN_ARROW = Encoding(MEDIA_TYPE, "arrows", to_plain_stream)
"""Between nodes alone, which pack what goes over a slow line themselves."""

_OTHER_NAMES = {"application/jsonl": JSON_LINES, "application/json-lines": JSON_LINES, "application/ndjson": JSON_LINES}


def accepted(accept: str | None) -> Encoding:
    """Return the form that an ``Accept`` header prefers; raise Invalid where it takes none of them."""
    ranked = sorted(_ranges(accept or "*/*"), key=lambda one: -one[1])
    for wanted, quality in ranked:
        for encoding in ENCODINGS:
            if quality > 0 and _matches(wanted, encoding.media_type):
                return encoding
    raise Invalid(
        "transfer.media-type",
        f"expected Accept to take one of {', '.join(one.media_type for one in ENCODINGS)}, got none of them",
        hint=Text("Ask for one of these forms.", "请选择上述格式之一。"),
    )


def encoding_of(media_type: str | None) -> Encoding | None:
    """Return the form of that media type, None where it is none of ours."""
    wanted = _name((media_type or "").partition(";")[0])
    return next((one for one in ENCODINGS if one.media_type == wanted), None)


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for item in accept[:1024].split(","):
        name, _, parameters = item.partition(";")
        yield _name(name), _quality(parameters)


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _name(text: str) -> str:
    name = text.strip().lower()
    return _OTHER_NAMES.get(name, name)


def _matches(wanted: str, media_type: str) -> bool:
    return wanted in {"*/*", media_type} or (wanted.endswith("/*") and media_type.startswith(wanted[:-1]))
