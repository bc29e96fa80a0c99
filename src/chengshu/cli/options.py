"""The options that every command takes, and the one place where results and errors are rendered."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from chengshu.cli.output import Output, terminal_language
from chengshu.evidence.packs.pack import is_pack
from chengshu.kernel.errors import ChengshuError, Invalid, Unavailable
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.node import LOG

NodeFolder = Annotated[Path, typer.Option("--node", "-n", envvar="CHENGSHU_NODE", help="The node's folder.", show_default="this folder")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Lang = Annotated[str, typer.Option("--lang", help="en or zh.", show_default="the terminal's")]

HERE = Path()


def render(work: Callable[[Output], Any], *, as_json: bool, lang: str, title: Text | None = None) -> None:
    """Do ``work`` and show what it returns; leave with 3 for a refusal and 1 for an error, each with its rule or code."""
    output = Output(language="zh" if lang == "zh" else "en" if lang == "en" else terminal_language(), as_json=as_json)
    try:
        _check_language(lang)
        result = _outcome(work, output)
    except ChengshuError as error:
        raise typer.Exit(output.fail(error)) from error
    if isinstance(result, Refused):
        raise typer.Exit(output.refuse(result))
    if result is not None:
        output.show(result, title=title)


def log_of(path: Path) -> Path:
    """Return what a path to evidence means: a node's folder means its log; a log's folder and a pack, which may hold a log, themselves."""
    return path / LOG if (path / LOG).is_dir() and not is_pack(path) else path


def _check_language(lang: str) -> None:
    if lang not in {"", "en", "zh"}:
        raise Invalid("lang.unknown", f"expected --lang en or zh, got {lang}", hint=Text("Use en or zh.", "请使用 en 或 zh。"))


def _outcome(work: Callable[[Output], Any], output: Output) -> Any:
    """Do ``work``; what the operating system says of a file that the person named leaves as one of our errors."""
    try:
        return work(output)
    except BrokenPipeError:  # whoever read the output has gone: the command-line library ends quietly
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Unavailable(
            "file.unusable",
            f"{where}expected to read or write it, got: {error.strerror or 'a failure of the system'}",
            hint=Text("Check the path, its permissions and the free space.", "请检查路径、权限与可用空间。"),
        ) from error
    except UnicodeDecodeError as error:
        raise Invalid(
            "file.encoding",
            "expected a text file in UTF-8, got bytes that are not",
            hint=Text("Check which file was named, or save it as UTF-8.", "请核对所指定的文件，或另存为 UTF-8。"),
        ) from error


def examples(*lines: str) -> str:
    """Return the examples that close a command's help."""
    return "Examples:\n\n" + "\n\n".join(f"  {line}" for line in lines)
