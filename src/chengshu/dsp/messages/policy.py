"""Policies in messages (the protocol's ODRL profile): constraints, rules, offers and agreements."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from chengshu.dsp.messages.shapes import Id, Shape

_OPERATORS = Literal["eq", "gt", "gteq", "lt", "lteq", "neq", "hasPart", "isA", "isAllOf", "isAnyOf", "isNoneOf", "isPartOf", "term-lteq"]
_LOGICAL = ("and", "andSequence", "or", "xone")
DATE_TIME = r"^-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$"


class _Atomic(Shape):
    left_operand: Id
    operator: _OPERATORS
    right_operand: str | dict[str, Any] | list[Any]


def _constraint(value: Any) -> Any:
    """A constraint is atomic, or exactly one of the logical ones over an array of constraints."""
    logical = [key for key in _LOGICAL if isinstance(value, dict) and key in value]
    if not logical:
        _atomic(value)
    elif len(logical) > 1 or not isinstance(value[logical[0]], list):
        raise ValueError("expected exactly one of and, andSequence, or, xone with an array")
    else:
        for item in value[logical[0]]:
            _constraint(item)
    return value


def _atomic(value: Any) -> None:
    try:
        _Atomic.model_validate(value)
    except ValidationError:
        wanted = "leftOperand (text), operator (one of the protocol's) and rightOperand (text, object or array)"
        raise ValueError(f"expected a constraint with {wanted}") from None  # the cause would carry the value that came


_Constraints = list[Annotated[Any, AfterValidator(_constraint)]]


class _Duty(Shape):
    action: Id
    constraint: _Constraints = Field(default_factory=list)


class _Rule(_Duty):
    duty: list[_Duty] = Field(default_factory=list)


class _Policy(Shape):
    id: Id = Field(alias="@id")
    permission: Annotated[list[_Rule], Field(min_length=1)] | None = None
    prohibition: Annotated[list[_Rule], Field(min_length=1)] | None = None
    obligation: Annotated[list[_Duty], Field(min_length=1)] | None = None


class Offer(_Policy):
    """An offer in a message; without rules it refers to the provider's offer by its id."""

    type: Literal["Offer"] = Field(alias="@type")
    target: Id
    assigner: Id | None = None


class Agreement(_Policy):
    """An agreement in a message."""

    type: Literal["Agreement"] = Field(alias="@type")
    target: Id
    assigner: Id
    assignee: Id
    timestamp: Annotated[str, Field(pattern=DATE_TIME, max_length=64)]

    @model_validator(mode="after")
    def _has_rules(self) -> Self:
        if self.permission is None and self.prohibition is None:
            raise ValueError("expected permission or prohibition")
        return self


class CatalogOffer(_Policy):
    """An offer in a catalog."""

    type: Literal["Offer"] = Field(alias="@type")

    @model_validator(mode="after")
    def _names_no_target(self) -> Self:
        if "target" in (self.model_extra or {}):
            raise ValueError("expected no target: the dataset around the offer is its target")
        if self.permission is None and self.prohibition is None:
            raise ValueError("expected permission or prohibition")
        return self
