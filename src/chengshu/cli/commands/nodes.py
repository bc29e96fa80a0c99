"""A node: create it, show it, serve it, find out what is wrong with it."""

import os
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import ValidationError

from chengshu.api.app import KEEP_ALIVE_S, create_app
from chengshu.cli import answering, verbs
from chengshu.cli import doctor as doctoring
from chengshu.cli.options import HERE, AsJson, Lang, NodeFolder, examples, render
from chengshu.cli.output import Output
from chengshu.config import Cryptography
from chengshu.flight import serving as serving_flight
from chengshu.identity.keys.client import ClientToken
from chengshu.kernel.cycles import settle
from chengshu.kernel.errors import Invalid, Unavailable
from chengshu.kernel.text import Text
from chengshu.node import KEYS, open_node

app = typer.Typer(no_args_is_help=True, help="This organisation's node.")

INIT_EXAMPLES = examples(
    "chengshu node init road --handle road_operator --name 'Road operator' --name-zh 道路运营方 --port 8701",
    "chengshu node init room --handle space_operator --name 'Space operator' --name-zh 空间运营方 --port 8702 --clean-room",
    "chengshu node init road --handle road_operator --name 'Road operator' --name-zh 道路运营方 --cryptography national",
    "chengshu node init road --handle road_operator --name 'Road operator' --name-zh 道路运营方 --database postgresql+pg8000://road@db.example/space",
)
SHOW_EXAMPLES = examples("chengshu node show --node road", "chengshu node show --node road --json > road.card.json")
TOKEN_EXAMPLES = examples("chengshu node token --node fleet")
WAIT_EXAMPLES = examples("chengshu serve --node road & chengshu node wait --node road")
SERVE_EXAMPLES = examples("chengshu serve --node road", "CHENGSHU_NODE=road chengshu serve", "chengshu serve --node fleet --flight 8710")
DOCTOR_EXAMPLES = examples("chengshu doctor --node road", "chengshu doctor --node road --json")


@app.command("token", epilog=TOKEN_EXAMPLES)
def token(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Print the client token, by which this organisation's own programs ask questions over HTTP; it is made the first time."""
    render(lambda _output: {"token": ClientToken(open_node(node).folder / KEYS).make()}, as_json=as_json, lang=lang)


@app.command("init", epilog=INIT_EXAMPLES)
def init(
    folder: Annotated[Path, typer.Argument(help="Where the node's key, database, log and settings will be.")],
    handle: Annotated[str, typer.Option(help="The party's part of party.product in questions: lower case.")],
    name: Annotated[str, typer.Option(help="The organisation's name in English.")],
    name_zh: Annotated[str, typer.Option("--name-zh", help="The organisation's name in Chinese.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8700,
    clean_room: Annotated[bool, typer.Option("--clean-room", help="Run a clean room for others.")] = False,
    cryptography: Annotated[
        Cryptography,
        typer.Option(
            help="The space's profile: international (SHA-256, Ed25519, AES) or national (SM3, SM2, SM4); software profiles, not certified."
        ),
    ] = "international",
    database: Annotated[
        str | None,
        typer.Option(help="The PostgreSQL database that keeps it, postgresql+pg8000://USER@HOST/NAME; otherwise SQLite in the folder."),
    ] = None,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Create a node in a folder of its own: key, database, settings."""

    def work(output: Output) -> Any:
        birth = verbs.Birth(handle, name, name_zh, port=port, clean_room=clean_room, cryptography=cryptography, database=database)
        try:
            born = verbs.init(folder, birth)
        except ValidationError as error:
            raise _not_born(error) from error
        output.say(Text(f"Serve it with 'chengshu serve --node {folder}'.", f"用 chengshu serve --node {folder} 启动节点。"))
        return born

    render(work, as_json=as_json, lang=lang)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Show who this node is: the card that another operator adds with 'chengshu peer add'."""
    render(lambda _output: verbs.describe(open_node(node)), as_json=as_json, lang=lang)


@app.command("wait", epilog=WAIT_EXAMPLES)
def wait(
    timeout: Annotated[float, typer.Option(help="Seconds to wait at the most.")] = 20.0,
    node: NodeFolder = HERE,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Wait until the node is being served."""
    render(lambda _output: answering.await_service(open_node(node), timeout_s=timeout), as_json=as_json, lang=lang)


def serve(
    node: NodeFolder = HERE,
    flight: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port for Flight SQL, instead of the settings' one: ordinary database tools.")
    ] = None,
    while_input_open: Annotated[bool, typer.Option("--while-input-open", help="Stop when standard input closes.")] = False,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Serve the node until interrupted: other nodes reach it, and its deferred work is done."""

    def work(output: Output) -> None:
        opened = open_node(node)
        serving = opened.settings.serve
        if not answering.port_is_free(serving.host, serving.port):
            raise Unavailable(
                "serve.port-in-use",
                f"expected port {serving.port} on {serving.host} to be free, got one in use",
                hint=Text(
                    f"Stop what uses it, or set another port under [serve] in {node}/chengshu.toml.",
                    f"请停止占用该端口的程序，或在 {node}/chengshu.toml 的 [serve] 中改用其他端口。",
                ),
            )
        if while_input_open:
            threading.Thread(target=_leave_with_parent, daemon=True).start()
        output.say(Text(f"serving {serving.address} (Ctrl-C stops it)", f"节点运行于 {serving.address}（Ctrl-C 停止）"))
        app = create_app(opened)
        with serving_flight.opened(opened, port=flight) as door:
            if door is not None:
                address = serving_flight.address_of(door, opened.settings.flight)
                output.say(Text(f"Flight SQL at {address}", f"Flight SQL 地址：{address}"))
            settle()
            uvicorn.run(app, host=serving.host, port=serving.port, log_level="warning", access_log=False, timeout_keep_alive=KEEP_ALIVE_S)

    render(work, as_json=as_json, lang=lang)


def doctor(node: NodeFolder = HERE, as_json: AsJson = False, lang: Lang = "") -> None:
    """Say what is wrong with the node, and what to do about it; leave with 1 if anything is."""

    def work(output: Output) -> Any:
        complaints = doctoring.examine(node)
        told = [one.as_dict(output.language) if output.as_json else one.as_row(output.language) for one in complaints]
        output.show(told, headings=doctoring.HEADINGS)
        if any(one.bad for one in complaints):
            raise typer.Exit(1)

    render(work, as_json=as_json, lang=lang)


def _not_born(error: ValidationError) -> Invalid:
    first = error.errors(include_input=False, include_url=False)[0]
    return Invalid(
        "node.settings",
        f"at {'.'.join(str(part) for part in first['loc'])}: expected a value that chengshu.toml can hold, got: {first['msg']}",
        hint=Text(
            "A handle is lower case letters, digits and _, and begins with a letter; a name has 1 to 120 letters.",
            "代号由小写字母、数字与下划线组成并以字母开头；名称长度为 1 至 120 个字符。",
        ),
    )


def _leave_with_parent() -> None:
    """Whoever started this process holds the other end of its input: when that is gone, so is the reason to serve."""
    sys.stdin.buffer.read()
    os._exit(0)
