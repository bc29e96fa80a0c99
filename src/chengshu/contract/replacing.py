"""What a renewal is and what an amendment is: the same terms for longer, or other terms."""

from datetime import UTC, datetime

from chengshu.contract.life import window_of
from chengshu.contract.model import Agreement, Document
from chengshu.kernel.canonical import canonical
from chengshu.kernel.clock import iso
from chengshu.kernel.errors import Conflict
from chengshu.kernel.text import Text
from chengshu.policy.model import NAMES, TimeWindow, differing
from chengshu.policy.odrl import content, from_odrl, to_odrl

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)


def prolonged(agreement: Agreement, *, until: datetime) -> Document:
    """Return the rules of an agreement with a later end."""
    return to_odrl(agreement.policy.lasting(until))


def check_renewal(agreement: Agreement, offer: Document) -> None:
    """Raise Conflict where ``offer`` is anything but the agreement's own terms with a later end."""
    offered = from_odrl(offer)
    named = differing(agreement.policy.lasting(FOREVER), offered.lasting(FOREVER))
    others = [name for name in named if name != NAMES[TimeWindow]]  # where the old one has run out, the new one begins later too
    if others:
        raise Conflict(
            "contract.not-a-renewal",
            f"expected the agreement's own terms, got an offer that differs in {', '.join(others)}",
            hint=Text("Other terms are an amendment: 'chengshu agreement amend ID'.", "条款不同属于变更：chengshu agreement amend ID。"),
        )
    _, end = window_of(agreement)
    _, later = offered.window
    if end is None or (later is not None and later <= end):
        wanted = "an agreement that ends some time" if end is None else f"a later end than {iso(end)}"
        raise Conflict(
            "contract.not-later",
            f"expected {wanted}, got {'none' if later is None else iso(later)}",
            hint=Text("Ask the holder for an offer that lasts longer.", "请联系持有方发布有效期更长的报价。"),
        )


def check_amendment(agreement: Agreement, offer: Document) -> None:
    """Raise Conflict where ``offer`` has the agreement's own terms; Invalid where it says something that this node does not understand."""
    from_odrl(offer)
    if canonical(content(offer)) == canonical(content(agreement.document)):
        raise Conflict(
            "contract.not-an-amendment",
            "expected other terms than the agreement's, got the same",
            hint=Text(
                "Nothing would change; a further agreement is asked for with 'chengshu contract request'.",
                "条款未变；如需另签合约，请用 chengshu contract request。",
            ),
        )
