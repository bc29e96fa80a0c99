"""What is wrong with claims, each with one code."""

from chengshu.kernel.errors import Unidentified
from chengshu.kernel.text import Text

HINT = Text(
    "The operators of both sides see the reason in their logs: compare identifiers, keys, clocks, issuers and credentials.",
    "双方运营人员可在各自日志中查看原因：请核对标识、密钥、时钟、签发方与凭证。",
)


def fault(what: str, message: str) -> Unidentified:
    """Return the error with the code ``identity.dcp-<what>``."""
    return Unidentified(f"identity.dcp-{what}", message, hint=HINT)
