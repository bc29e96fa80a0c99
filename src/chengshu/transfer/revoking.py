"""What the log says of a use that ceased to be allowed while it was made."""

from chengshu.kernel.refusal import Refused

MAX_WORDS = 200


def revocation(refused: Refused) -> dict[str, str]:
    """Return the rule, what it expected, what it got and, where it is known, since when: ids, times and counts, no free words."""
    expected, _, got = refused.message.rpartition("expected ")[2].partition(", got ")
    body = {
        "rule": refused.rule,
        "expected": str(refused.facts.get("expected", expected))[:MAX_WORDS],
        "got": str(refused.facts.get("got", got))[:MAX_WORDS],
    }
    since = refused.facts.get("since")
    return body if since is None else body | {"since": str(since)}
