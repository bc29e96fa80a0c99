"""Policies in words, and dry runs; duties and what was done for them; events that policies ask about."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli import policies, verbs
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.cli.policies import Stated
from chengshu.config import FILE_NAME
from chengshu.contract.duties import Duties
from chengshu.kernel.text import Text
from chengshu.node import Node, open_node

policy = typer.Typer(no_args_is_help=True, help="Usage policies: in words, and tried out.")
duty = typer.Typer(no_args_is_help=True, help="Duties under agreements, and what was done for them.")
event = typer.Typer(no_args_is_help=True, help="Events that policies ask about.")

EXPLAIN_EXAMPLES = examples(
    "chengshu policy explain terms.json",
    "chengshu policy explain counts --purpose research --sql --group 10 --room room --party fleet --node road",
    "chengshu policy explain urn:uuid:… --rows --purpose research --json --node road",
)
TRY_EXAMPLES = examples(
    "chengshu policy try counts --node road", "chengshu policy try counts --party fleet --at 2027-01-01T00:00:00+08:00 --json --node road"
)
LIST_EXAMPLES = examples("chengshu duty list --node road", "chengshu duty list urn:uuid:… --json --node fleet")
STATE_EXAMPLES = examples(
    "chengshu duty state urn:uuid:… permission-1/duty-1 --words 'erased on 3 June, backups too' --json --node fleet > done.json"
)
TAKE_EXAMPLES = examples("chengshu duty take done.json --node road")
CONFIRM_EXAMPLES = examples("chengshu duty confirm urn:uuid:… permission-1/duty-1 --words 'paid, bank reference 4711' --node road")
BEGIN_EXAMPLES = examples("chengshu event begin flood --reason 'warning of the weather service' --node road")
END_EXAMPLES = examples("chengshu event end flood --reason 'warning lifted' --node road")
EVENTS_EXAMPLES = examples("chengshu event list --node road")

AgreementId = Annotated[str, typer.Argument(help="The agreement's id.")]
DutyName = Annotated[str, typer.Argument(help="The duty, as 'duty list' names it: permission-1/duty-1.")]
Occurrence = Annotated[int, typer.Option(help="Which time, for a duty that is owed for each use.", min=1)]
Words = Annotated[str, typer.Option(help="What was done, in a sentence.")]
Reason = Annotated[str, typer.Option(help="Why, in a sentence.")]
EventName = Annotated[str, typer.Argument(help="The event's name, as policies have it.")]
Party = Annotated[str, typer.Option(help="Who uses it: an id, a handle or a name.")]
Purpose = Annotated[str, typer.Option(help="What for.")]
Room = Annotated[str, typer.Option(help="In whose clean room.")]
At = Annotated[str, typer.Option(help="When (RFC 3339).", show_default="now")]
MethodParameters = Annotated[
    str, typer.Option("--parameters", help="A sealed method's parameters as a JSON object.", show_default="not stated")
]
At_place = Annotated[str, typer.Option("--place", help="Where: POINT (106.5 29.5).")]


@policy.command("explain", epilog=EXPLAIN_EXAMPLES)
def explain(
    source: Annotated[str, typer.Argument(help="A policy's file, a product of this node, or an agreement.")],
    party: Party = "",
    purpose: Purpose = "",
    room: Room = "",
    method: Annotated[str, typer.Option(help="By which sealed method.")] = "",
    parameters: MethodParameters = "",
    sql: Annotated[bool, typer.Option("--sql", help="By a question in vetted SQL.")] = False,
    rows: Annotated[bool, typer.Option("--rows", help="As a delivery of rows.")] = False,
    group: Annotated[int, typer.Option(help="The smallest group that the question reports about.", min=0)] = 0,
    at: At = "",
    place: At_place = "",
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Say a policy in words; where a use is stated, report rule by rule whether it would be permitted, and what would pass."""
    stated = Stated(
        party or None,
        purpose or None,
        room or None,
        method or None,
        group or None,
        at or None,
        place or None,
        sql,
        rows,
        parameters or None,
    )

    def work(output: Output) -> Any:
        is_alone = Path(source).is_file() and not (node / FILE_NAME).is_file()
        opened = None if is_alone else open_node(node)
        found = policies.explain(opened, source, stated, language=output.language)
        if as_json:
            return found
        output.show([{"of": one["of"], "rule": one[output.language]} for one in found["rules"]])
        if "permitted" in found:
            keys = ("of", "rule", "constraint", "expected", "got", "satisfied", "would_pass")
            output.say(_PERMITTED if found["permitted"] else _REFUSED)
            output.show([{key: one[key] for key in keys} for one in found["findings"]])
        return None

    render(work, as_json=as_json, lang=lang)


_PERMITTED = Text("This use would be permitted:", "该使用可获准：")
_REFUSED = Text("This use would be refused:", "该使用将被拒绝：")


@policy.command("try", epilog=TRY_EXAMPLES)
def attempt(
    product: Annotated[str, typer.Argument(help="A product of this node, or a policy's file.")],
    party: Annotated[str, typer.Option(help="Only this party.", show_default="every known party")] = "",
    purpose: Annotated[str, typer.Option(help="Only this purpose.", show_default="those that the policy names")] = "",
    room: Annotated[str, typer.Option(help="Only this clean room.", show_default="every known one")] = "",
    parameters: MethodParameters = "",
    at: At = "",
    place: At_place = "",
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Dry run: who could use a product, for what, by what means, from when until when, if it were agreed now. Nothing is counted."""
    stated = Stated(party or None, purpose or None, room or None, None, None, at or None, place or None, parameters=parameters or None)
    render(lambda _output: policies.attempt(open_node(node), product, stated), as_json=as_json, lang=lang)


@duty.command("list", epilog=LIST_EXAMPLES)
def duties(
    agreement: Annotated[str, typer.Argument(help="The agreement's id.", show_default="all agreements")] = "",
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """List what is owed under agreements by now, until when, and what was done for it: observed, or stated by the assignee."""
    render(lambda _output: policies.duties(open_node(node), agreement or None), as_json=as_json, lang=lang)


@duty.command("state", epilog=STATE_EXAMPLES)
def state(
    agreement: AgreementId,
    name: DutyName,
    words: Words,
    occurrence: Occurrence = 1,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """As the assignee, state that a duty was done; prints the signed statement, to be given to the provider."""
    render(lambda _output: open_node(node).duties.state(agreement, name, words=words, occurrence=occurrence), as_json=as_json, lang=lang)


@duty.command("take", epilog=TAKE_EXAMPLES)
def take(
    file: Annotated[Path, typer.Argument(help="The statement that the assignee signed.")],
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """As the provider, keep the assignee's signed statement that a duty was done: its word, recorded as that."""
    render(lambda _output: policies.shown(open_node(node).duties.take(verbs.read_json(file))), as_json=as_json, lang=lang)


@duty.command("confirm", epilog=CONFIRM_EXAMPLES)
def confirm(
    agreement: AgreementId,
    name: DutyName,
    words: Words,
    occurrence: Occurrence = 1,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """As the provider, record that a duty was seen done: the payment came, the report is here."""
    render(
        lambda _output: policies.shown(open_node(node).duties.confirm(agreement, name, words=words, occurrence=occurrence)),
        as_json=as_json,
        lang=lang,
    )


@event.command("begin", epilog=BEGIN_EXAMPLES)
def begin(name: EventName, reason: Reason, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Say that an event is going on from now, for policies that ask."""
    render(lambda _output: _going_on(open_node(node), lambda duties: duties.begin(name, reason=reason)), as_json=as_json, lang=lang)


@event.command("end", epilog=END_EXAMPLES)
def end(name: EventName, reason: Reason, node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Say that an event is over."""
    render(lambda _output: _going_on(open_node(node), lambda duties: duties.end(name, reason=reason)), as_json=as_json, lang=lang)


@event.command("list", epilog=EVENTS_EXAMPLES)
def events(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """List the events that are going on, since when and why."""
    render(lambda _output: open_node(node).duties.events(), as_json=as_json, lang=lang)


def _going_on(opened: Node, tell: Callable[[Duties], None]) -> list[dict[str, Any]]:
    """Tell the node, and return the events that are going on then."""
    tell(opened.duties)
    return opened.duties.events()
