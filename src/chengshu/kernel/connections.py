"""What became of a connection to another node, in words."""

import httpx


def silence_of(error: Exception) -> str:
    """Return why there is no answer, as the end of "expected …, got …"; a foreign exception's own text never passes."""
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return "no connection"
        case httpx.TimeoutException():
            return "no answer in time"
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return "an address that leads nowhere"
        case httpx.TransportError():
            return "a connection that broke off"
        case _:
            return "an answer that cannot be read"
