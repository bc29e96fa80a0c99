"""CASE as a group: the values of one column under labels of the asker's own."""

from dataclasses import dataclass, replace

from sqlglot import exp

from chengshu.cleanroom.conditions.written import number
from chengshu.cleanroom.model import ColumnType
from chengshu.cleanroom.relation.released import Constant
from chengshu.cleanroom.vetting.buckets import constant

MOST_ARMS = 40


@dataclass(frozen=True, slots=True)
class Labels:
    """What a CASE says: conditions with their labels, the label of all other values, and the type of the labels."""

    arms: tuple[tuple[exp.Expr, Constant], ...]
    otherwise: Constant | None
    type: ColumnType

    @property
    def columns(self) -> tuple[exp.Column, ...]:
        """Every column that the conditions are about, as often as it is written."""
        return tuple(column for condition, _ in self.arms for column in condition.find_all(exp.Column))


def labels_of(node: exp.Expr) -> Labels | None:
    """Return what a CASE with conditions and constant labels of one kind says, nothing for anything else."""
    if not isinstance(node, exp.Case) or node.this is not None:
        return None
    arms = node.args.get("ifs") or []
    if not 0 < len(arms) <= MOST_ARMS or any(arm.args.get("false") is not None or arm.args.get("true") is None for arm in arms):
        return None
    otherwise = node.args.get("default")
    is_left_out = otherwise is None or isinstance(otherwise.unnest(), exp.Null)
    written = [arm.args["true"] for arm in arms] + ([] if is_left_out else [otherwise])
    labels = _alike([_label(one) for one in written])
    if labels is None:
        return None
    named = tuple((arm.this, label) for arm, label in zip(arms, labels, strict=False))
    return Labels(named, None if is_left_out else labels[-1], labels[0].type)


def _label(expression: exp.Expr) -> Constant | None:
    return constant(expression, ColumnType.TEXT) or number(expression)


def _alike(labels: list[Constant | None]) -> list[Constant] | None:
    """The labels in one type: all texts, or all numbers, doubles where one of them is no whole number."""
    known = [one for one in labels if one is not None]
    kinds = {one.type for one in known}
    if len(known) < len(labels) or (ColumnType.TEXT in kinds and len(kinds) > 1):
        return None
    return [replace(one, type=ColumnType.DOUBLE) for one in known] if len(kinds) > 1 else known
