"""Between our own messages about an agreement and the contract room's values."""

from typing import Any

from chengshu.contract.life import Life, Termination
from chengshu.dsp.messages.agreement import STANDING, TERMINATION, AgreementTerminationMessage
from chengshu.dsp.messages.shapes import CONTEXT, parse
from chengshu.dsp.translate.words import clean, reasons_in, segment
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text


def path_of(agreement_id: str) -> str:
    """Return where the word of an agreement's end goes, below the counterparty's address."""
    return f"/agreements/{segment(agreement_id)}/termination"


def write_termination(termination: Termination) -> dict[str, Any]:
    """Return a termination as its message."""
    return {
        "@context": [CONTEXT],
        "@type": TERMINATION,
        "agreementId": termination.agreement,
        "timestamp": iso(termination.at),
        "code": termination.code,
        "reason": list(termination.reasons),
    }


def read_termination(value: dict[str, Any], *, sender: str, agreement_id: str) -> Termination:
    """Return what a termination message of ``sender`` about the agreement in its path says; raises Invalid."""
    message = parse(AgreementTerminationMessage, value)
    if message.agreement_id != agreement_id:
        raise _invalid("expected agreementId to be the agreement in the path, got another")
    reasons = reasons_in(message.reason)
    try:
        at = from_iso(message.timestamp)
    except (ValueError, OverflowError) as error:
        raise _invalid("expected a timestamp with an offset (RFC 3339), got another text") from error
    return Termination(agreement_id, sender, from_iso(iso(at)), clean(message.code), reasons)


def standing_of(life: Life) -> dict[str, Any]:
    """Return how an agreement stands as the document that both its parties may read."""
    return {"@context": [CONTEXT], "@type": STANDING, "agreementId": life.agreement.id, "state": life.phase.value}


def _invalid(message: str) -> Invalid:
    return Invalid(
        "message.invalid",
        message,
        hint=Text("Send the message as docs/reference/agreements.md has it.", "请按 docs/reference/agreements.md 发送消息。"),
    )
