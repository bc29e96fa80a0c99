"""The options that every command takes, and the one place where results and errors are rendered."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli.output import Output, terminal_language
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

NodeFolder = Annotated[Path, typer.Option("--node", "-n", envvar="CHENGSHU_NODE", help="The node's folder.", show_default="this folder")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Lang = Annotated[str, typer.Option("--lang", help="en or zh.", show_default="the terminal's")]

HERE = Path()


def render(work: Callable[[Output], Any], *, as_json: bool, lang: str, title: Text | None = None) -> None:
    """Do ``work`` and show what it returns; leave with 3 for a refusal and 1 for an error, each with its rule or code."""
    output = Output(language="zh" if lang == "zh" else "en" if lang == "en" else terminal_language(), as_json=as_json)
    try:
        result = work(output)
    except ChengshuError as error:
        raise typer.Exit(output.fail(error)) from error
    if isinstance(result, Refused):
        raise typer.Exit(output.refuse(result))
    if result is not None:
        output.show(result, title=title)


def examples(*lines: str) -> str:
    """Return the examples that close a command's help."""
    return "Examples:\n\n" + "\n\n".join(f"  {line}" for line in lines)
