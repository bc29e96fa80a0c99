"""``join-partner``: a join by a key whose owner lists the parties with whose products it may be joined, in a question that reads another's.

Whoever joins learns which keys two lists share. It is the parties that are listed and not names of products: names are their holders' own
choice, and the party is what the room asks for the rows. Every product that the question reads counts, since one that is joined to the
other end is joined to this one too.
"""

from collections.abc import Iterator, Mapping

from sqlglot import exp

from chengshu.cleanroom.model import Column, ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import origin_of, table_name
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "join-partner"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse a key in ON whose owner does not list every other party of whose products the question reads one."""
    read = {table_name(table) for table in every(query, exp.Table) if table.db}
    for node, column, product in _keys(query):
        if column.partners is not None:
            holder = terms[product].provider
            strangers = sorted(one for one in read if terms[one].provider not in {*column.partners, *([holder] if holder else [])})
            if strangers:
                return _refused(node, column, strangers[0])
    return None


def _keys(query: exp.Expr) -> Iterator[tuple[exp.Column, Column, str]]:
    """Every key that something is joined by, as its owner declares it, and its product; of a union that of each part."""
    for join in every(query, exp.Join):
        on = join.args.get("on")
        for node in () if on is None else on.find_all(exp.Column):
            origin = origin_of(node)
            for one in () if origin is None else origin.parts or (origin,):
                yield node, one.column, one.product


def _refused(node: exp.Column, column: Column, product: str) -> Refused:
    return refused(
        RULE,
        node,
        why=f"the owner of this key does not list the holder of {product} among its partners",
        would_pass=Text("The same question with products of the key's partners alone.", "仅使用该键所列合作方的产品的同一问题。"),
        column=column.name,
    )
