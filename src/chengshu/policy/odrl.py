"""Policies as ODRL (W3C ODRL Information Model 2.2) in the shape that the Dataspace Protocol 2025-1 asks for.

One permission with the action ``use``; its constraints are an array; numbers and times are typed literals, sets are arrays of strings.
Left operands are full IRIs: ODRL's own where it has the very notion (purpose, recipient, dateTime, count), else ours below
:data:`CS`::

    environment    eq        did of the party that runs the clean room
    outputForm     eq        "aggregate" | "rows"
    minimumGroup   gteq      {"@value": "5", "@type": xsd:integer}
    method         isAnyOf   names of sealed methods
    query          eq        "vetted-sql"
    payBasis       eq        "contribution"      (on the duty ``compensate``)

Anything else is refused by name and never ignored. Documents are kept and echoed as received; this module only reads and writes them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.policy.model import (
    Basis,
    CountLimit,
    Duty,
    Environment,
    Form,
    Methods,
    MinimumGroup,
    OutputForm,
    Pay,
    Policy,
    Purpose,
    Queries,
    QueryForm,
    Recipient,
    Rule,
    TimeWindow,
)

CS = "https://w3id.org/chengshu/policy/"
ODRL = "http://www.w3.org/ns/odrl/2/"
XSD = "http://www.w3.org/2001/XMLSchema#"
REPLACES: Final = "https://w3id.org/chengshu/dsp/replaces"
"""In an agreement, beside its rules: the id of the agreement that this one takes the place of."""

USE = "use"
COMPENSATE = "compensate"

_ENVELOPE = frozenset({"@context", "@id", "@type", "target", "assigner", "assignee", "timestamp", "permission", REPLACES})
_PURPOSE, _RECIPIENT, _TIME, _COUNT = (ODRL + name for name in ("purpose", "recipient", "dateTime", "count"))
_ENVIRONMENT, _OUTPUT, _GROUP = (CS + name for name in ("environment", "outputForm", "minimumGroup"))
_METHOD, _QUERY, _BASIS = (CS + name for name in ("method", "query", "payBasis"))
_TERMS: dict[type[Rule], str] = {Purpose: _PURPOSE, Recipient: _RECIPIENT, Methods: _METHOD, OutputForm: _OUTPUT, Queries: _QUERY}


def to_odrl(policy: Policy) -> dict[str, Any]:
    """Return the policy's ``permission`` member, to be put into an Offer or an Agreement."""
    permission: dict[str, Any] = {"action": USE}
    if policy.rules:
        permission["constraint"] = [constraint for rule in policy.rules for constraint in _constraints(rule)]
    if policy.duties:
        permission["duty"] = [_duty(duty) for duty in policy.duties]
    return {"permission": [permission]}


def from_odrl(document: Mapping[str, Any]) -> Policy:
    """Return the policy that an Offer, an Agreement or a bare permission document states.

    Raises Invalid ``policy.unknown-term`` naming the first term outside the closed list, and ``policy.shape`` where a known term has a
    form that the protocol's schema does not allow.
    """
    _only(document, _ENVELOPE, "policy")
    permissions = _list(document.get("permission"), "permission")
    if len(permissions) != 1:
        raise _shape(f"expected exactly one permission, got {len(permissions)}")
    permission = _object(permissions[0], "permission")
    _only(permission, {"action", "constraint", "duty"}, "permission")
    _action(permission, USE)
    constraints = [_read_constraint(item) for item in _list(permission.get("constraint", []), "constraint")]
    duties = [_read_duty(item) for item in _list(permission.get("duty", []), "duty")]
    return Policy(tuple(_rules(constraints)), tuple(duties))


def content(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy document without its envelope (ids, parties, target, time): what two copies must have in equal form."""
    return {key: value for key, value in document.items() if key not in _ENVELOPE or key == "permission"}


def _constraints(rule: Rule) -> list[dict[str, Any]]:
    match rule:
        case TimeWindow(start, end):
            bounds = (("gteq", start), ("lteq", end))
            return [_constraint(_TIME, operator, _literal(iso(moment), "dateTime")) for operator, moment in bounds if moment is not None]
        case Purpose(values) | Recipient(values) | Methods(values):
            return [_constraint(_TERMS[type(rule)], "isAnyOf", sorted(values))]
        case MinimumGroup(number):
            return [_constraint(_GROUP, "gteq", _literal(str(number), "integer"))]
        case CountLimit(number):
            return [_constraint(_COUNT, "lteq", _literal(str(number), "integer"))]
        case Environment(room):
            return [_constraint(_ENVIRONMENT, "eq", room)]
        case OutputForm(form) | Queries(form):
            return [_constraint(_TERMS[type(rule)], "eq", form.value)]


def _duty(duty: Duty) -> dict[str, Any]:
    return {"action": COMPENSATE, "constraint": [_constraint(_BASIS, "eq", duty.basis.value)]}


def _constraint(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def _literal(value: str, kind: str) -> dict[str, str]:
    return {"@value": value, "@type": XSD + kind}


_Atom = tuple[str, str, Any]


def _read_constraint(item: Any) -> _Atom:
    constraint = _object(item, "constraint")
    _only(constraint, {"leftOperand", "operator", "rightOperand"}, "constraint")
    left, operator = constraint.get("leftOperand"), constraint.get("operator")
    if not isinstance(left, str) or not isinstance(operator, str) or "rightOperand" not in constraint:
        raise _shape("expected leftOperand, operator and rightOperand in every constraint, got one missing or of another kind")
    if (left, operator) not in _READERS:
        known = [candidate for name, candidate in _READERS if name == left]
        if known:
            raise _unknown("operator", operator, f"with {left} only {' or '.join(known)}")
        raise _unknown("leftOperand", left, "one of the operands that the reference lists")
    return left, operator, constraint["rightOperand"]


def _rules(constraints: Sequence[_Atom]) -> Iterable[Rule]:
    window: dict[str, datetime] = {}
    for left, operator, right in constraints:
        if left != _TIME:
            yield _READERS[left, operator](right)
        elif operator in window:
            raise _shape(f"expected {left} with {operator} at most once, got it twice")
        else:
            window[operator] = _moment(right)
    if window:
        yield TimeWindow(window.get("gteq"), window.get("lteq"))


def _read_duty(item: Any) -> Duty:
    duty = _object(item, "duty")
    _only(duty, {"action", "constraint"}, "duty")
    _action(duty, COMPENSATE)
    constraints = _list(duty.get("constraint", []), "constraint")
    if len(constraints) != 1:
        raise _shape(f"expected exactly one constraint in the duty {COMPENSATE}, got {len(constraints)}")
    constraint = _object(constraints[0], "constraint")
    _only(constraint, {"leftOperand", "operator", "rightOperand"}, "constraint")
    for key, term in (("leftOperand", _BASIS), ("operator", "eq")):
        if constraint.get(key) != term:
            raise _unknown(key, constraint.get(key), f"in the duty {COMPENSATE} only {term}")
    return Pay(_member(Basis)(constraint.get("rightOperand")))


def _texts(right: Any) -> frozenset[str]:
    if not isinstance(right, list) or not right or not all(isinstance(item, str) and item for item in right):
        raise _shape("expected an array of strings as rightOperand, got another kind")
    if len(set(right)) != len(right):
        raise _shape("expected different strings as rightOperand, got one twice")
    return frozenset(right)


def _text(right: Any) -> str:
    if not isinstance(right, str) or not right:
        raise _shape("expected a string as rightOperand, got another kind")
    return right


def _typed(right: Any, kind: str) -> str:
    if (
        not isinstance(right, dict)
        or set(right) != {"@value", "@type"}
        or right["@type"] != XSD + kind
        or not isinstance(right["@value"], str)
    ):
        raise _shape(f"expected a rightOperand with @value (a string) and @type {XSD}{kind}, got another form")
    return right["@value"]


def _count(right: Any) -> int:
    text = _typed(right, "integer")
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and text == str(int(text))):
        raise _shape("expected a whole number of at most nine digits without leading zeros, got another text")
    return int(text)


def _moment(right: Any) -> datetime:
    try:
        return from_iso(_typed(right, "dateTime"))
    except (ValueError, OverflowError) as error:
        raise _shape("expected a time with an offset (RFC 3339) as rightOperand, got another text") from error


def _member(kind: type[Form] | type[QueryForm] | type[Basis]) -> Callable[[Any], Any]:
    def read(right: Any) -> Any:
        if right not in [member.value for member in kind]:
            raise _unknown("rightOperand", right, " or ".join(kind))
        return kind(right)

    return read


_READERS: dict[tuple[str, str], Callable[[Any], Any]] = {
    (_PURPOSE, "isAnyOf"): lambda right: Purpose(_texts(right)),
    (_RECIPIENT, "isAnyOf"): lambda right: Recipient(_texts(right)),
    (_TIME, "gteq"): _moment,
    (_TIME, "lteq"): _moment,
    (_COUNT, "lteq"): lambda right: CountLimit(_count(right)),
    (_ENVIRONMENT, "eq"): lambda right: Environment(_text(right)),
    (_OUTPUT, "eq"): lambda right: OutputForm(_member(Form)(right)),
    (_GROUP, "gteq"): lambda right: MinimumGroup(_count(right)),
    (_METHOD, "isAnyOf"): lambda right: Methods(_texts(right)),
    (_QUERY, "eq"): lambda right: Queries(_member(QueryForm)(right)),
}


def _only(document: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    # In JSON-LD a member whose value is an empty array states nothing, whatever it is called, and connectors leave such ones behind; only
    # an operator of a constraint means something even over nothing.
    stated = [key for key, value in document.items() if value != [] or where == "constraint"]
    unknown = sorted(set(stated) - set(known))
    if unknown:
        raise _unknown("key", unknown[0], f"in a {where} only {', '.join(sorted(known))}")


def _action(document: Mapping[str, Any], expected: str) -> None:
    if document.get("action") != expected:
        raise _unknown("action", document.get("action"), expected)


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise _shape(f"expected {name} to be an array, got another kind")
    return value


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _shape(f"expected every {name} to be an object, got another kind")
    return value


def _unknown(place: str, term: object, known: str) -> Invalid:
    shown = term[:120] if isinstance(term, str) else f"a value of kind {type(term).__name__}"
    return Invalid(
        "policy.unknown-term",
        f"expected {known}, got {place} {shown}",
        hint=Text(
            "This node enforces only what it understands; ask for an offer without that term.",
            "本节点只执行其理解的规则；请改用不含该条款的报价。",
        ),
        facts={"place": place, "term": shown},
    )


def _shape(message: str) -> Invalid:
    return Invalid(
        "policy.shape",
        message,
        hint=Text("Write the policy as the reference shows.", "请按参考文档书写策略。"),
    )
