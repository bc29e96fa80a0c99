"""Whether a question may be asked: parse, ask every rule, and say it again in our own words.

The same :func:`vet` serves the room and every holder. A holder gives its own terms for its own product and, for the others,
the public schemas that came with the job (:meth:`chengshu.cleanroom.model.Job.terms`); it trusts nobody's verdict but its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokenizer_core import Token, TokenType

from chengshu.cleanroom.engines.rendering import ROWS, bounded_sql, count_name, dominance_name, single_name, summary_sql, unique_name
from chengshu.cleanroom.model import Column, ProductTerms, Role
from chengshu.cleanroom.noise.protecting import protected
from chengshu.cleanroom.relation.model import Finish, Gate, Input, Summary, VettedQuery
from chengshu.cleanroom.relation.normal import asked
from chengshu.cleanroom.vetting.binding import bind
from chengshu.cleanroom.vetting.cases import spelled_out
from chengshu.cleanroom.vetting.names import annotate, origin_of, table_name
from chengshu.cleanroom.vetting.nesting import is_nested
from chengshu.cleanroom.vetting.rules import MEANING, SHAPE
from chengshu.cleanroom.vetting.tree import dismantle, every, first
from chengshu.cleanroom.vetting.windows import lifted
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

LONGEST = 20_000
_WRITTEN = frozenset({TokenType.STRING, TokenType.NATIONAL_STRING, TokenType.RAW_STRING, TokenType.HEREDOC_STRING})
_NAMES = frozenset({TokenType.VAR, TokenType.IDENTIFIER})
_OPENINGS = frozenset({TokenType.SELECT, TokenType.WITH, TokenType.FROM, TokenType.L_PAREN})


@dataclass(frozen=True, slots=True)
class Parsed:
    """One statement that parses; it is judged once, since judging writes onto its tree and takes it apart."""

    tree: exp.Expr
    products: tuple[str, ...]
    """Every ``party.product`` that the question reads, in the order of their names."""
    unites: bool
    """Whether rows are put under one another somewhere in it."""


def vet(sql: str, terms: Mapping[str, ProductTerms]) -> VettedQuery | Refused:
    """Return the question as an engine may run it, or the first rule that refuses it.

    ``terms`` are by product name, ``party.product``. The SQL of the result is generated, so that comments, quoting tricks and
    whatever a second reader could understand differently end here. No word of ``sql`` is in a refusal but column names.
    """
    parsed = read(sql)
    return parsed if isinstance(parsed, Refused) else judge(parsed, terms)


def read(sql: str) -> Parsed | Refused:
    """Return the question as one statement, before anybody's terms are known; or why it is none."""
    query = _parse(sql)
    if isinstance(query, Refused):
        return query
    tree = lifted(spelled_out(query))
    products = {table_name(table) for table in every(tree, exp.Table) if table.db}
    return Parsed(tree, tuple(sorted(products)), first(tree, exp.Union) is not None)


def judge(parsed: Parsed, terms: Mapping[str, ProductTerms]) -> VettedQuery | Refused:
    """Return what :func:`vet` returns, of a question that was read before; call it once for each reading."""
    try:
        return _judge(parsed.tree, terms)
    except RecursionError:
        return _too_complex()
    finally:
        dismantle(parsed.tree)


def _judge(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> VettedQuery | Refused:
    for rule in SHAPE:
        refusal = rule(query, terms)
        if refusal is not None:
            return refusal
    if not isinstance(query, exp.Select):
        return _syntax()
    annotate(query, terms)
    for rule in MEANING:
        refusal = rule(query, terms)
        if refusal is not None:
            return refusal
    try:
        summary, finish = bind(query, terms)
    except Invalid as left:
        return Refused("not-understood", left.message, left.hint)
    return _vetted(query, terms, summary=summary, finish=finish)


def _vetted(query: exp.Select, terms: Mapping[str, ProductTerms], *, summary: Summary, finish: Finish) -> VettedQuery | Refused:
    inputs = _inputs(query, terms)
    noisy = protected(query, terms, summary)
    if isinstance(noisy, Refused):
        return noisy
    if noisy is not None:
        engine, protection = noisy
        said = asked(summary.body, summary.groups, summary.measures)
        return VettedQuery(bounded_sql(engine), summary, finish, (), inputs, protection, said, engine)
    strictest = max(terms[one.product].smallest_group for one in inputs)
    return VettedQuery(summary_sql(summary), summary, finish, gates_of(summary, least=strictest), inputs)


def gates_of(summary: Summary, *, least: int) -> tuple[Gate, ...]:
    """Return what holds back groups of a summary: fewer than ``least`` records, and whatever it counts and marks for the gate."""
    gates = [Gate(ROWS, least)]
    gates += [Gate(count_name(place), count.minimum) for place, count in enumerate(summary.counts)]
    gates += [Gate(single_name(place), 1, "join-fan-out") for place, _ in enumerate(summary.singles)]
    gates += [Gate(unique_name(place), 1, "join-fan-out") for place, _ in enumerate(summary.uniques)]
    # by the same word as a small group: which of the two it was would say that a large group has one large contributor
    gates += [Gate(dominance_name(place), 1) for place, _ in enumerate(summary.dominances)]
    return tuple(gates)


def _inputs(query: exp.Select, terms: Mapping[str, ProductTerms]) -> tuple[Input, ...]:
    """Return what the question needs of each product: named columns and the unit; some column where it only counts rows."""
    names = dict.fromkeys(table_name(table) for table in every(query, exp.Table) if table.db)
    wanted: dict[str, dict[str, Column]] = {name: {} for name in names}
    for node in every(query, exp.Column):
        origin = origin_of(node)
        if origin is not None and not origin.parts:  # those of a union are named in its parts
            wanted[origin.product][origin.column.name] = origin.column
    for name, columns in wanted.items():
        schema = terms[name].schema
        unit = None if schema.privacy_unit is None else schema.column(schema.privacy_unit)
        columns |= {one.name: one for one in (unit, *(schema.column(each.column) for each in schema.rows)) if one is not None}
        if not columns:
            least = next((one for one in schema.columns if one.role is not Role.HIDDEN), schema.columns[0])
            columns[least.name] = least
    return tuple(Input(name, tuple(columns.values())) for name, columns in wanted.items())


def _parse(sql: str) -> exp.Expr | Refused:
    if len(sql) > LONGEST:
        return _too_complex()
    dialect = Dialect.get_or_raise("duckdb")
    try:
        tokens = dialect.tokenize(sql)
        while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
            tokens.pop()
        refusal = _unparsed(tokens, is_ascii=sql.isascii())
        if refusal is not None:
            return refusal
        parsed = dialect.parser().parse(tokens, sql)
    except RecursionError:
        return _too_complex()
    except Exception:  # noqa: BLE001  # whatever a parser stumbles over is a text that does not parse; compiled, it says so in words of its own
        return _syntax()
    return parsed[0] if len(parsed) == 1 and isinstance(parsed[0], exp.Expr) else _syntax()


def _unparsed(tokens: list[Token], *, is_ascii: bool) -> Refused | None:
    """Why the words of a text are not parsed at all, nothing where they are."""
    kinds = [token.token_type for token in tokens]
    if TokenType.SEMICOLON in kinds:
        return _several()
    if not kinds or kinds[0] not in _OPENINGS:
        return _not_a_select()
    if not is_ascii and any(_is_disguised(token, following) for token, following in zip(tokens, [*tokens[1:], None], strict=True)):
        return _syntax()
    return _too_complex() if is_nested(kinds) else None


def _is_disguised(token: Token, following: Token | None) -> bool:
    """Whether letters beyond ASCII stand for a word of ASCII letters, as the sign for kelvin does for a k, a long s for an s.

    Python's case folding takes them for the same, an engine does not: who reads the question would read another than is run
    (Unicode Technical Standard 39).
    """
    if token.text.isascii() or token.token_type in _WRITTEN:
        return False
    if token.token_type not in _NAMES:
        return True  # a keyword
    return token.text.lower().isascii() or (following is not None and following.token_type is TokenType.L_PAREN)


def _several() -> Refused:
    return Refused(
        "one-statement",
        "expected one statement, got several",
        Text("Ask each statement as a question of its own.", "请将每条语句作为单独的问题提出。"),
    )


def _not_a_select() -> Refused:
    return Refused(
        "only-select",
        "expected one SELECT, got another statement",
        Text("One SELECT with FROM party.product.", "一条以 FROM 参与方.产品 开头取数的 SELECT。"),
    )


def _syntax() -> Refused:
    return Refused(
        "not-understood",
        "expected one SELECT in DuckDB's syntax, got a text that does not parse as one",
        Text("See the reference of vetted SQL for what can be asked.", "可询问的内容见受审 SQL 参考。"),
    )


def _too_complex() -> Refused:
    return Refused(
        "too-complex",
        f"expected at most {LONGEST} characters and a few dozen levels of nesting, got more",
        Text("Split the question.", "请拆分问题。"),
    )
