"""The vetting rules, one a file, in the order in which they are asked. The first refusal is the answer.

``SHAPE`` judges the parsed question alone. ``MEANING`` judges it with the lineage of every column written on its tree, and may
take for granted what SHAPE let pass.
"""

from collections.abc import Callable, Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.rules import (
    aggregate_filter,
    aggregate_not_listed,
    aggregate_not_permitted,
    ambiguous_name,
    cast,
    conditional,
    distinct,
    division,
    filter_column,
    filter_form,
    filter_operator,
    function_not_listed,
    group_column,
    grouping_sets,
    having_form,
    hidden_column,
    join_key,
    join_kind,
    join_partner,
    joined_count,
    joined_value,
    nested_aggregate,
    no_agreement,
    not_understood,
    only_select,
    parameter,
    pattern,
    raw_rows,
    recursive_query,
    row_filter,
    sampling,
    set_operation,
    star,
    sub_query,
    table_function,
    too_complex,
    too_many_conditions,
    union_column,
    unknown_column,
    window,
)
from chengshu.kernel.refusal import Refused

Rule = Callable[[exp.Expr, Mapping[str, ProductTerms]], Refused | None]

SHAPE: tuple[Rule, ...] = (
    only_select.check,
    recursive_query.check,
    set_operation.check,
    table_function.check,
    sampling.check,
    parameter.check,
    sub_query.check,
    star.check,
    distinct.check,
    window.check,
    grouping_sets.check,
    aggregate_filter.check,
    conditional.check,
    pattern.check,
    cast.check,
    aggregate_not_listed.check,
    join_kind.check,
    division.check,
    function_not_listed.check,
    nested_aggregate.check,
    too_complex.check,
    not_understood.check,
)
MEANING: tuple[Rule, ...] = (
    no_agreement.check,
    ambiguous_name.check,
    union_column.check,
    unknown_column.check,
    hidden_column.check,
    join_key.check,
    join_partner.check,
    row_filter.check,
    filter_column.check,
    filter_form.check,
    filter_operator.check,
    group_column.check,
    aggregate_not_permitted.check,
    raw_rows.check,
    having_form.check,
    joined_value.check,
    joined_count.check,
    too_many_conditions.check,
)
RULES: tuple[Rule, ...] = SHAPE + MEANING
RULE_NAMES: tuple[str, ...] = tuple(rule.__module__.rpartition(".")[2].replace("_", "-") for rule in RULES)
"""The rules by the names that refusals give, in the order in which they are asked."""
