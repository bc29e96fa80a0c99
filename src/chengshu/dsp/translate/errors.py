"""Errors as the protocol's typed documents."""

from typing import Any

from chengshu.dsp.messages.agreement import ERROR
from chengshu.dsp.messages.shapes import CONTEXT
from chengshu.kernel.errors import ChengshuError


def catalog_error(error: ChengshuError) -> dict[str, Any]:
    """Return an error as a CatalogError document."""
    return {"@context": [CONTEXT], "@type": "CatalogError", "code": error.code, "reason": _reasons(error)}


def agreement_error(error: ChengshuError, *, agreement_id: str) -> dict[str, Any]:
    """Return an error as our own AgreementError document."""
    return {"@context": [CONTEXT], "@type": ERROR, "agreementId": agreement_id, "code": error.code, "reason": _reasons(error)}


def process_error(error: ChengshuError, kind: str, *, consumer_pid: str, provider_pid: str) -> dict[str, Any]:
    """Return an error as a ContractNegotiationError or TransferError document, as ``kind`` says."""
    return {
        "@context": [CONTEXT],
        "@type": kind,
        "consumerPid": consumer_pid,
        "providerPid": provider_pid,
        "code": error.code,
        "reason": _reasons(error),
    }


def _reasons(error: ChengshuError) -> list[str]:
    return [error.message, error.hint.en, error.hint.zh]
