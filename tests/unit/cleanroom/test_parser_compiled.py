"""The parser of questions comes compiled where there is a wheel, and as it is written elsewhere: both must give the same verdicts."""

import json
import os
import subprocess
import sys

import pytest
import sqlglot.parser
from test_cleanroom_vetting import CORPUS, TERMS

from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.refusal import Refused

AS_WRITTEN = """
import json, sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader

class AsWritten:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] != "sqlglot":
            return None
        finders = (FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)) for folder in path or sys.path)
        return next((spec for finder in finders if (spec := finder.find_spec(name)) is not None), None)

sys.meta_path.insert(0, AsWritten)
import sqlglot.parser
from test_cleanroom_vetting import CORPUS, TERMS
from chengshu.cleanroom.vetting.vetter import vet
assert sqlglot.parser.__file__.endswith(".py")
from test_parser_compiled import told
print(json.dumps([told(vet(sql, TERMS)) for sql in CORPUS]))
"""


def told(verdict: VettedQuery | Refused) -> list[object]:
    if isinstance(verdict, Refused):
        return [verdict.rule, verdict.message, verdict.facts]
    return [
        verdict.sql,
        repr(verdict.finish),
        repr(verdict.gates),
        [(one.product, [c.name for c in one.columns]) for one in verdict.inputs],
    ]


@pytest.mark.skipif(str(sqlglot.parser.__file__).endswith(".py"), reason="the parser is not compiled here")
def test_every_question_has_the_same_verdict_with_the_parser_compiled_and_as_it_is_written() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, "-c", AS_WRITTEN], check=True, capture_output=True, text=True, env=environment)
    assert json.loads(said.stdout) == json.loads(json.dumps([told(vet(sql, TERMS)) for sql in CORPUS]))
