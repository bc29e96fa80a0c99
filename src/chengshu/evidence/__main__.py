"""The offline checker: ``python -m chengshu.evidence verify PATH`` says in words what a copied log proves and what it does not.

``python -m chengshu.evidence reconcile A B`` says whether two parties' logs agree about their common contracts.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengshu.evidence.counted import count, key_to_trust
from chengshu.evidence.reconcile import reconcile
from chengshu.evidence.verify import LogVerdict, UseVerdict, verify_log, verify_use
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.text import Language


@dataclass(frozen=True, slots=True)
class _Found:
    """What one command found: whether it holds, as JSON-ready values, and in words."""

    holds: bool
    document: dict[str, Any]
    words: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checker and return its exit code: 0 for proved, 1 for not proved or tampered with; 2 is a wrong command line."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "verify" and (options.product is None) != (options.job is None):
        parser.error("--product and --job go together")
    language: Language = options.lang
    try:
        found = _reconcile(options, language) if options.command == "reconcile" else _verify(options, language)
    except ChengshuError as error:
        if options.json:
            _say(json.dumps({"ok": False} | error.as_dict(language), ensure_ascii=False, indent=2))
        else:
            _say(f"{error.kind}: {error.message}\n{error.hint.of(language)}")
        return 1
    _say(json.dumps(found.document, ensure_ascii=False, indent=2) if options.json else "\n".join(found.words))
    return 0 if found.holds else 1


def _reconcile(options: argparse.Namespace, language: Language) -> _Found:
    verdict = reconcile(options.a, options.b, vkey_a=options.vkey_a, vkey_b=options.vkey_b)
    return _Found(verdict.holds, verdict.as_dict(language), verdict.words(language))


def _verify(options: argparse.Namespace, language: Language) -> _Found:
    verdict = _verdict(options)
    log = verdict if isinstance(verdict, LogVerdict) else verdict.log
    proved = isinstance(verdict, LogVerdict) or verdict.holds
    if options.policy is None:
        return _Found(proved, verdict.as_dict(language), verdict.words(language))
    counted = count(options.path, options.policy, log=log)
    proved = proved and counted.met
    document = verdict.as_dict(language) | {"ok": proved, "quorum": counted.as_dict(language)}
    return _Found(proved, document, [*verdict.words(language), *(text.of(language) for text in counted.texts())])


def _verdict(options: argparse.Namespace) -> LogVerdict | UseVerdict:
    vkey = key_to_trust(options.path, options.policy, options.vkey)
    if options.product is None:
        return verify_log(options.path, vkey)
    return verify_use(options.path, product=options.product, job=options.job, vkey=vkey)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chengshu.evidence", description="Check evidence offline, from a log's files alone.")
    commands = parser.add_subparsers(required=True, dest="command", metavar="verify|reconcile")
    verify = commands.add_parser("verify", help="check a log, or one use of one product")
    verify.add_argument("path", type=Path, metavar="PATH", help="the log's folder: checkpoint and tile/")
    verify.add_argument("--vkey", metavar="KEY", help="the log's key as you know it (name+id+key); without it log.vkey is used")
    verify.add_argument("--policy", type=Path, metavar="FILE", help="a C2SP tlog-policy file: say whether enough witnesses cosigned")
    verify.add_argument("--product", metavar="P", help="with --job: prove the use of this product")
    verify.add_argument("--job", metavar="J", help="with --product: prove the use by this job")
    both = commands.add_parser("reconcile", help="hold two parties' logs against each other")
    both.add_argument("a", type=Path, metavar="A", help="one party's log: its folder, or a copy")
    both.add_argument("b", type=Path, metavar="B", help="the other party's log")
    both.add_argument("--vkey-a", metavar="KEY", help="the key of A's log as you know it")
    both.add_argument("--vkey-b", metavar="KEY", help="the key of B's log as you know it")
    for command in (verify, both):
        command.add_argument("--json", action="store_true", help="print the verdict as JSON")
        command.add_argument("--lang", choices=["en", "zh"], default="en", help="language of the words")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
