"""What is wrong with claims, each with one code."""

import logging

from chengshu.kernel.errors import Unidentified
from chengshu.kernel.text import Text

HINT = Text(
    "The operators of both sides see the reason in their logs: compare identifiers, keys, clocks, issuers and credentials.",
    "双方运营人员可在各自日志中查看原因：请核对标识、密钥、时钟、签发方与凭证。",
)


_LOG = logging.getLogger(__name__)


def unproved(error: Unidentified) -> Unidentified:
    """Write what is wrong into this node's log, and return what a stranger may know of it: nothing."""
    _LOG.warning("a request was refused: [%s] %s", error.code, error.message)
    return Unidentified(
        "identity.unproved",
        "expected a request that proves who sends it, got one that does not",
        hint=Text("The reason is in the log of the node that was asked.", "原因见被请求节点的运行日志。"),
    )


def fault(what: str, message: str) -> Unidentified:
    """Return the error with the code ``identity.dcp-<what>``."""
    return Unidentified(f"identity.dcp-{what}", message, hint=HINT)
