"""Policies as ODRL (W3C ODRL Information Model 2.2) in the shape that the Dataspace Protocol 2025-1 asks for.

A policy has permissions, prohibitions and obligations; each an action with an array of constraints, a permission also with duties.
Numbers, times, durations and places are typed literals, sets are arrays. Left operands are full IRIs (``odrl:`` as a prefix is read
too): ODRL's own where it has the very notion, else ours; :mod:`~chengshu.policy.terms` lists them with the operators of each. The one
constraint of a duty ``compensate`` is ``payBasis`` ``eq`` ``"contribution"``; any duty may carry a deadline: ``dateTime`` or
``elapsedTime`` ``lteq``.

Anything else is refused by name and never ignored. Documents are kept and echoed as received; this module only reads and writes them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.policy.constraint import MAX_CONSTRAINTS, MAX_DEPTH, Condition, Constraint, Logical
from chengshu.policy.duties import CLOCKS, Basis, Deed, Duty, DutyAction, Pay
from chengshu.policy.literals import literal, members, read_literal
from chengshu.policy.model import Action, Permission, Policy, Prohibition, conditions
from chengshu.policy.terms import CS, ODRL, XSD, Joint, Operand, Operator

__all__ = ["CS", "ODRL", "REPLACES", "XSD", "content", "from_odrl", "to_odrl"]

REPLACES: Final = "https://w3id.org/chengshu/dsp/replaces"
"""In an agreement, beside its rules: the id of the agreement that this one takes the place of."""

PREFIX = "odrl:"
_RULES = ("permission", "prohibition", "obligation")
_ENVELOPE = frozenset({"@context", "@id", "@type", "target", "assigner", "assignee", "timestamp", REPLACES})
_BASIS = CS + "payBasis"
_ATOM = ("leftOperand", "operator", "rightOperand")
_Word = TypeVar("_Word", Action, DutyAction)
_OPERANDS = {operand.iri: operand for operand in Operand}


def to_odrl(policy: Policy) -> dict[str, Any]:
    """Return the policy's rules, to be put into an Offer or an Agreement."""
    document: dict[str, Any] = {"permission": [_permission(one) for one in policy.permissions]}
    if policy.prohibitions:
        document["prohibition"] = [_rule(one) for one in policy.prohibitions]
    if policy.obligations:
        document["obligation"] = [_duty(one) for one in policy.obligations]
    return document


def from_odrl(document: Mapping[str, Any]) -> Policy:
    """Return the policy that an Offer, an Agreement or a bare document of rules states.

    Raises Invalid ``policy.unknown-term`` naming the first term outside the closed lists, and ``policy.shape`` where a known term has a
    form that the protocol's schema does not allow, or there is nothing that is permitted.
    """
    _only(document, {*_ENVELOPE, *_RULES}, "policy")
    permissions = [_read_permission(item) for item in _list(document.get("permission"), "permission")]
    if not permissions:
        raise _shape("expected at least one permission, got none")
    first, *others = permissions
    return Policy(
        first.rules,
        first.duties,
        first.action,
        alternatives=tuple(others),
        prohibitions=tuple(_read_prohibition(item) for item in _list(document.get("prohibition", []), "prohibition")),
        obligations=tuple(_read_duty(item) for item in _list(document.get("obligation", []), "obligation")),
    )


def content(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy document without its envelope (ids, parties, target, time): what two copies must have in equal form."""
    return {key: value for key, value in document.items() if key not in _ENVELOPE}


# --- writing ------------------------------------------------------------------------------------------------------------------------


def _permission(permission: Permission) -> dict[str, Any]:
    written = _rule(permission)
    return {**written, "duty": [_duty(duty) for duty in permission.duties]} if permission.duties else written


def _rule(rule: Permission | Prohibition) -> dict[str, Any]:
    written: dict[str, Any] = {"action": rule.action.value}
    found = [_condition(one) for one in conditions(rule.rules)]
    return {**written, "constraint": found} if found else written


def _duty(duty: Duty) -> dict[str, Any]:
    found = [_atom(_BASIS, Operator.EQ, duty.basis.value)] if isinstance(duty, Pay) else []
    found += [_condition(duty.deadline)] if duty.deadline else []
    written: dict[str, Any] = {"action": duty.action.value}
    if found:
        written["constraint"] = found
    if duty.consequences:
        written["consequence"] = [_duty(one) for one in duty.consequences]
    return written


def _condition(condition: Condition) -> dict[str, Any]:
    if isinstance(condition, Logical):
        return {condition.joint.value: [_condition(part) for part in condition.parts]}
    values = [literal(value) for value in condition.values]
    right = sorted(values, key=str) if condition.operator.listed else values[0]
    return _atom(condition.operand.iri, condition.operator, right)


def _atom(left: str, operator: Operator, right: Any) -> dict[str, Any]:
    return {"leftOperand": left, "operator": operator.value, "rightOperand": right}


# --- reading ------------------------------------------------------------------------------------------------------------------------


def _read_permission(item: Any) -> Permission:
    permission = _object(item, "permission")
    _only(permission, {"action", "constraint", "duty"}, "permission")
    action = _read_action(permission, [one for one in Action if one.seen])
    duties = tuple(_read_duty(one) for one in _list(permission.get("duty", []), "duty"))
    return Permission(_read_conditions(permission), duties, action)


def _read_prohibition(item: Any) -> Prohibition:
    prohibition = _object(item, "prohibition")
    _only(prohibition, {"action", "constraint"}, "prohibition")
    return Prohibition(_read_conditions(prohibition), _read_action(prohibition, list(Action)))


def _read_conditions(rule: Mapping[str, Any]) -> tuple[Condition, ...]:
    items = _list(rule.get("constraint", []), "constraint")
    if len(items) > MAX_CONSTRAINTS:
        raise _shape(f"expected at most {MAX_CONSTRAINTS} constraints, got more")
    return tuple(_read_condition(item, depth=0) for item in items)


def _read_condition(item: Any, *, depth: int) -> Condition:
    constraint = _object(item, "constraint")
    joint = next((one for one in Joint if one.value in constraint), None)
    if joint is None:
        return _read_atom(constraint)
    _only(constraint, {joint.value}, "logical constraint")
    if depth >= MAX_DEPTH:
        raise _shape(f"expected constraints at most {MAX_DEPTH} deep, got deeper ones")
    return Logical(joint, tuple(_read_condition(part, depth=depth + 1) for part in _list(constraint[joint.value], joint.value)))


def _read_atom(constraint: Mapping[str, Any]) -> Constraint:
    left, operator, right = _read_parts(constraint)
    operand = _OPERANDS.get(left)
    if operand is None:
        raise _unknown("leftOperand", left, "one of the operands that the reference lists")
    if operator not in operand.operators:
        raise _unknown("operator", operator, f"with {left} only {' or '.join(sorted(operand.operators))}")
    known = Operator(operator)
    if not known.listed:
        return Constraint(operand, known, _read_value(operand, right))
    values = [_read_value(operand, one) for one in members(right)]
    if len(set(values)) != len(values):
        raise _shape("expected different values in the rightOperand, got one twice")
    return Constraint(operand, known, frozenset(values))


def _read_parts(constraint: Mapping[str, Any]) -> tuple[str, str, Any]:
    _only(constraint, _ATOM, "constraint")
    left, operator = constraint.get("leftOperand"), constraint.get("operator")
    if not isinstance(left, str) or not isinstance(operator, str) or "rightOperand" not in constraint:
        raise _shape("expected leftOperand, operator and rightOperand in every constraint, got one without")
    return ODRL + left.removeprefix(PREFIX) if left.startswith(PREFIX) else left, _word(operator), constraint["rightOperand"]


def _read_value(operand: Operand, right: Any) -> Any:
    if operand.choices and right not in operand.choices:
        raise _unknown("rightOperand", right, " or ".join(operand.choices))
    try:
        return read_literal(operand.kind, right)
    except (ValueError, OverflowError) as error:
        raise _shape(f"{error} as rightOperand of {operand.iri}, got another form") from error


def _read_duty(item: Any, *, nested: bool = False) -> Duty:
    duty = _object(item, "duty")
    _only(duty, {"action", "constraint"} if nested else {"action", "constraint", "consequence"}, "duty")
    action = _read_action(duty, list(DutyAction))
    found = [_object(one, "constraint") for one in _list(duty.get("constraint", []), "constraint")]
    bases = [_read_basis(one) for one in found if one.get("leftOperand") == _BASIS and action is DutyAction.COMPENSATE]
    clocks = [_read_atom(one) for one in found if one.get("leftOperand") != _BASIS or action is not DutyAction.COMPENSATE]
    for clock in clocks:
        if clock.operand not in CLOCKS or clock.operator is not Operator.LTEQ:
            raise _unknown("leftOperand", clock.operand.iri, f"in the duty {action} only a deadline (dateTime or elapsedTime, lteq)")
    if len(clocks) > 1 or len(bases) != (action is DutyAction.COMPENSATE):
        raise _shape(f"expected one {_BASIS} in a duty compensate and at most one deadline in any, got another number in {action}")
    after = tuple(_read_duty(one, nested=True) for one in _list(duty.get("consequence", []), "consequence"))
    deadline = clocks[0] if clocks else None
    return Pay(bases[0], deadline, after) if bases else Deed(action, deadline, after)


def _read_basis(constraint: Mapping[str, Any]) -> Basis:
    _, operator, right = _read_parts(constraint)
    if operator != Operator.EQ:
        raise _unknown("operator", operator, f"with {_BASIS} only eq")
    if right not in [member.value for member in Basis]:
        raise _unknown("rightOperand", right, " or ".join(Basis))
    return Basis(right)


def _read_action(rule: Mapping[str, Any], known: list[_Word]) -> _Word:
    found = rule.get("action")
    word = _word(found) if isinstance(found, str) else found
    action = next((one for one in known if one.value == word), None)
    if action is None:
        raise _unknown("action", found, " or ".join(known))
    return action


def _word(name: str) -> str:
    """A term of ODRL without its namespace."""
    return next((name.removeprefix(prefix) for prefix in (ODRL, PREFIX) if name.startswith(prefix)), name)


def _only(document: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    # In JSON-LD a member whose value is an empty array states nothing, whatever it is called, and connectors leave such ones behind; only
    # an operator of a constraint means something even over nothing.
    stated = [key for key, value in document.items() if value != [] or where.endswith("constraint")]
    unknown = sorted(set(stated) - set(known))
    if unknown:
        raise _unknown("key", unknown[0], f"in a {where} only {', '.join(sorted(known))}")


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
