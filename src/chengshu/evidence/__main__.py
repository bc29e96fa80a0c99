"""The offline checker: ``python -m chengshu.evidence verify PATH`` says in words what handed-over evidence proves and what it does not.

``python -m chengshu.evidence reconcile A B`` says whether two parties' logs agree about their common contracts.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from chengshu.evidence.examine import Verdict, examine
from chengshu.evidence.inspecting.inspection import Inspection, inspect
from chengshu.evidence.reconciling.reconcile import reconcile
from chengshu.evidence.reconciling.reconciliation import Reconciliation
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.text import Language


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checker and return its exit code: 0 for proved, 1 for not proved or tampered with; 2 is a wrong command line."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "verify" and (options.product is None) != (options.job is None):
        parser.error("--product and --job go together")
    language: Language = options.lang
    try:
        verdict = _check(options)
    except ChengshuError as error:
        if options.json:
            _say(json.dumps({"ok": False} | error.as_dict(language), ensure_ascii=False, indent=2))
        else:
            _say(f"{error.kind}: {error.message}\n{error.hint.of(language)}")
        return 1
    if options.json:
        _say(json.dumps(verdict.as_dict(language), ensure_ascii=False, indent=2))
    else:
        _say("\n".join(verdict.words(language)))
    return 0 if verdict.holds else 1


def _check(options: argparse.Namespace) -> Verdict | Inspection | Reconciliation:
    if options.command == "fsck":
        return inspect(options.path, options.vkey)
    if options.command == "reconcile":
        return reconcile(options.a, options.b, vkey_a=options.vkey_a, vkey_b=options.vkey_b)
    return examine(options.path, options.vkey, product=options.product, job=options.job, policy=options.policy)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chengshu.evidence", description="Check evidence offline, from its files alone.")
    commands = parser.add_subparsers(required=True, dest="command", metavar="verify|fsck|reconcile")
    verify = commands.add_parser("verify", help="check a log, an evidence pack, a proof of use, or one use of one product")
    verify.add_argument("path", type=Path, metavar="PATH", help="a log's folder, a pack (zip or unpacked), or a proof of use")
    verify.add_argument("--product", metavar="P", help="with --job: prove the use of this product")
    verify.add_argument("--job", metavar="J", help="with --product: prove the use by this job")
    verify.add_argument("--policy", type=Path, metavar="FILE", help="a C2SP tlog-policy file: say whether enough witnesses cosigned")
    fsck = commands.add_parser("fsck", help="list everything that is wrong with a log's files, byte by byte")
    fsck.add_argument("path", type=Path, metavar="PATH", help="the log's folder: checkpoint and tile/")
    for command in (verify, fsck):
        command.add_argument("--vkey", metavar="KEY", help="the log's key as you know it (name+id+key); without it the one beside is used")
    both = commands.add_parser("reconcile", help="hold two parties' logs against each other")
    both.add_argument("a", type=Path, metavar="A", help="one party's log: its folder, or a copy")
    both.add_argument("b", type=Path, metavar="B", help="the other party's log")
    both.add_argument("--vkey-a", metavar="KEY", help="the key of A's log as you know it")
    both.add_argument("--vkey-b", metavar="KEY", help="the key of B's log as you know it")
    for command in (verify, fsck, both):
        command.add_argument("--json", action="store_true", help="print the verdict as JSON")
        command.add_argument("--lang", choices=["en", "zh"], default="en", help="language of the words")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
