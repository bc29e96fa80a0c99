"""CASE of a value, ``CASE zone WHEN 'airport' THEN …``, spelled out as what it says: ``CASE WHEN zone = 'airport' THEN …``."""

from sqlglot import exp

from chengshu.cleanroom.vetting.tree import every, forget


def spelled_out(query: exp.Expr) -> exp.Expr:
    """Return the question with conditions in the place of values in every CASE of an expression that holds no other CASE.

    Other ones stay as they are, and are refused: spelling them out could make of a short question a very long one.
    """
    for case in every(query, exp.Case):
        value = case.this
        if value is None or value.find(exp.Case) is not None:
            continue
        for arm in case.args.get("ifs") or ():
            arm.set("this", exp.EQ(this=value.copy(), expression=arm.this))
        case.set("this", None)
        forget(query)
    return query
