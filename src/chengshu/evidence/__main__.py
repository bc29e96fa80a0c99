"""The offline checker: ``python -m chengshu.evidence verify PATH`` says in words what a copied log proves and what it does not."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from chengshu.evidence.counted import count, key_to_trust
from chengshu.evidence.verify import LogVerdict, UseVerdict, verify_log, verify_use
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.text import Language


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checker and return its exit code: 0 for proved, 1 for not proved or tampered with; 2 is a wrong command line."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.product is None) != (options.job is None):
        parser.error("--product and --job go together")
    language: Language = options.lang
    try:
        verdict = _verify(options)
        log = verdict if isinstance(verdict, LogVerdict) else verdict.log
        counted = None if options.policy is None else count(options.path, options.policy, log=log)
    except ChengshuError as error:
        if options.json:
            _say(json.dumps({"ok": False} | error.as_dict(language), ensure_ascii=False, indent=2))
        else:
            _say(f"{error.kind}: {error.message}\n{error.hint.of(language)}")
        return 1
    proved = (isinstance(verdict, LogVerdict) or verdict.holds) and (counted is None or counted.met)
    if options.json:
        quorum = {} if counted is None else {"ok": proved, "quorum": counted.as_dict(language)}
        _say(json.dumps(verdict.as_dict(language) | quorum, ensure_ascii=False, indent=2))
    else:
        further = [] if counted is None else [text.of(language) for text in counted.texts()]
        _say("\n".join([*verdict.words(language), *further]))
    return 0 if proved else 1


def _verify(options: argparse.Namespace) -> LogVerdict | UseVerdict:
    vkey = key_to_trust(options.path, options.policy, options.vkey)
    if options.product is None:
        return verify_log(options.path, vkey)
    return verify_use(options.path, product=options.product, job=options.job, vkey=vkey)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chengshu.evidence", description="Check evidence offline, from a log's files alone.")
    commands = parser.add_subparsers(required=True, metavar="verify")
    verify = commands.add_parser("verify", help="check a log, or one use of one product")
    verify.add_argument("path", type=Path, metavar="PATH", help="the log's folder: checkpoint and tile/")
    verify.add_argument("--vkey", metavar="KEY", help="the log's key as you know it (name+id+key); without it log.vkey is used")
    verify.add_argument("--policy", type=Path, metavar="FILE", help="a C2SP tlog-policy file: say whether enough witnesses cosigned")
    verify.add_argument("--product", metavar="P", help="with --job: prove the use of this product")
    verify.add_argument("--job", metavar="J", help="with --product: prove the use by this job")
    verify.add_argument("--json", action="store_true", help="print the verdict as JSON")
    verify.add_argument("--lang", choices=["en", "zh"], default="en", help="language of the words")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
