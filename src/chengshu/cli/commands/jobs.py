"""Questions to a clean room: vetted SQL, or a sealed method."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.model import MethodQuestion, Question
from chengshu.cleanroom.planning.explaining import explained
from chengshu.cli import verbs
from chengshu.cli.answers import Form, check_form, give, names_of, show_plan, waited_for
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.client.following import follow
from chengshu.client.result import ANSWER
from chengshu.kernel.errors import Invalid
from chengshu.kernel.money import Fen
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.node import Node, open_node

app = typer.Typer(no_args_is_help=True, help="Jobs that this node asked for.")

QUERY_EXAMPLES = examples(
    "chengshu query 'SELECT edge_id, avg(speed_mps) FROM navi.link_speed GROUP BY edge_id' --purpose proactive-safety --node fleet",
    "chengshu query --file question.sql --purpose proactive-safety --node fleet --explain",
    "chengshu query --file question.sql --purpose proactive-safety --node fleet --output parquet --to answer.parquet",
)
RUN_EXAMPLES = examples(
    "chengshu job run av_pilot.compliance --input 'Car maker/av_state' --input me/permit --purpose pilot-supervision --node regulator",
    "chengshu job run small.worth --input road/counts --input fleet/trips --purpose traffic-study --price-fen 1000000 --node firm",
)
SHOW_EXAMPLES = examples("chengshu job show urn:uuid:… --node fleet")
CANCEL_EXAMPLES = examples("chengshu job cancel urn:uuid:… --node fleet")
LIST_EXAMPLES = examples("chengshu job list --node fleet")

Purpose = Annotated[str, typer.Option(help="What the answer is for; the contracts must allow it.")]
RoomName = Annotated[str | None, typer.Option("--room", help="The clean room; the only known one when left out.")]
Wait = Annotated[float, typer.Option(help="Seconds to wait for the outcome.")]


def query(
    sql: Annotated[str | None, typer.Argument(help="The question over party.product tables.")] = None,
    purpose: Purpose = "any-agreed-purpose",
    output: Annotated[Form, typer.Option("--output", help="In which form the answer is given out.")] = Form.TABLE,
    to: Annotated[Path | None, typer.Option("--to", help="Write the answer into this file.", show_default="standard output")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show plan, terms and leakage statement; run and spend nothing.")] = False,
    file: Annotated[Path | None, typer.Option(help="Read the question from a file.")] = None,
    room: Annotated[str | None, typer.Option("--room", help="Only this clean room; any that every owner allows when left out.")] = None,
    wait: Wait = 60.0,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Ask a question of products under contract: planned and vetted here, by the clean room and by every holder."""

    def work(out: Output) -> Any:
        text = file.read_text(encoding="utf-8") if file else sql
        if not text:
            raise Invalid("query.empty", "expected a question, got none", hint=Text("Give SQL or --file.", "请给出 SQL 或 --file。"))
        check_form(output, to)
        opened = open_node(node)
        room_id = None if room is None else verbs.party_id(opened, room)
        if explain:
            return _explained(opened, text, out, purpose=purpose, room=room_id)
        asked = opened.queries.ask(text, purpose=purpose, room=room_id)
        if isinstance(asked, Refused):
            return asked
        with waited_for(out, names_of(opened, out)) as told:
            standing = follow(lambda: opened.asker.standing(asked.job), timeout_s=wait, told=told)
        return _given(opened, standing, out, form=output, into=to)

    render(work, as_json=as_json, lang=lang)


@app.command("run", epilog=RUN_EXAMPLES)
def run(
    method: Annotated[str, typer.Argument(help="The sealed method's name.")],
    purpose: Purpose,
    product: Annotated[list[str], typer.Option("--input", help="HOLDER/PRODUCT; may be repeated.")],
    parameters: Annotated[str, typer.Option(help="The method's parameters as a JSON object.")] = "{}",
    room: RoomName = None,
    wait: Wait = 120.0,
    price_fen: Annotated[
        int | None, typer.Option("--price-fen", min=0, help="What you pay for the answer, in fen, shared by contribution.")
    ] = None,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Have a sealed method run over products under contract."""

    def work(output: Output) -> Any:
        opened = open_node(node)
        inputs = [_input(opened, one) for one in product]
        question = MethodQuestion(method, verbs.json_object(parameters))
        price = None if price_fen is None else Fen(price_fen)
        return _outcome(opened, question, output, purpose=purpose, room=room, inputs=inputs, wait=wait, price=price)

    render(work, as_json=as_json, lang=lang)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Show where a job stands and for whom it waits, or how it ended."""

    def work(output: Output) -> Any:
        opened = open_node(node)
        return told(opened, opened.asker.standing(job), output)

    render(work, as_json=as_json, lang=lang)


@app.command("cancel", epilog=CANCEL_EXAMPLES)
def cancel(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """End a job that has not ended; uses that holders have counted stay counted."""

    def work(output: Output) -> Any:
        opened = open_node(node)
        return told(opened, opened.asker.cancel(job), output)

    render(work, as_json=as_json, lang=lang)


@app.command("list", epilog=LIST_EXAMPLES)
def every(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the jobs that this node asked for."""
    render(lambda _output: open_node(node).asker.every(), as_json=as_json, lang=lang)


def told(node: Node, standing: Standing, output: Output) -> Any:
    """Show a job's tables to a person, or return everything for a program; a refusal is returned as what it is."""
    outcome = standing.outcome
    if outcome is None:
        return {"job": standing.job, "state": standing.state, "waits_for": standing.waits_for}
    if outcome.refusal is not None:
        return outcome.refusal
    tables = {name: table.to_pylist() for name, table in outcome.tables.items()}
    if output.as_json:
        ended = {"job": standing.job, "state": standing.state, "tables": tables, "notes": list(outcome.notes)}
        return {**ended, "receipt": standing.receipt, "statement": node.asker.statement(standing.job)}
    leakage = (standing.receipt or {}).get("receipt", {}).get("leakage")
    output.show(
        {
            "job": standing.job,
            "state": standing.state,
            **({"leakage": leakage} if leakage else {}),
            **({"engine": outcome.engine} if outcome.engine else {}),
            **({"notes": list(outcome.notes)} if outcome.notes else {}),
        }
    )
    for name, rows in tables.items():
        output.show(rows, title=Text(name, name))
    return None


def _explained(node: Node, sql: str, output: Output, *, purpose: str, room: str | None) -> Any:
    choice = node.queries.plan(sql, purpose=purpose, room=room)
    if isinstance(choice, Refused):
        return choice
    if output.as_json:
        return explained(choice)
    show_plan(explained(choice), output, names_of(node, output))
    return None


def _given(node: Node, standing: Standing, output: Output, *, form: Form, into: Path | None) -> Any:
    """Give the answer out in its form; what is told beside it never stands in one stream with it."""
    outcome = standing.outcome
    if form is Form.TABLE or outcome is None or ANSWER not in outcome.tables:
        return told(node, standing, output)
    give(outcome.tables[ANSWER], form, into)
    if into is None:
        return None
    rows = outcome.tables[ANSWER].num_rows
    about = {"job": standing.job, "state": standing.state, "file": str(into), "rows": rows}
    return {**about, "receipt": standing.receipt} if output.as_json else about


def _outcome(
    node: Node,
    question: Question,
    output: Output,
    *,
    purpose: str,
    room: str | None,
    inputs: Sequence[InputChoice],
    wait: float,
    price: Fen | None = None,
) -> Any:
    room_id = verbs.the_room(node, room)
    standing = verbs.ask(node, question, room=room_id, purpose=purpose, inputs=inputs, timeout_s=wait, price=price)
    return told(node, standing, output)


def _input(node: Node, text: str) -> InputChoice:
    holder, slash, product = text.rpartition("/")
    if not slash:
        raise Invalid(
            "job.input", "expected HOLDER/PRODUCT, got no slash", hint=Text("For example 'Car maker/av_state'.", "例如 车企/av_state。")
        )
    party = verbs.party_id(node, holder)
    return InputChoice(party, product, verbs.agreement_for(node, party, product))
