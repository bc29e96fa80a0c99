"""What a person sees who presses Ctrl-C at a bad moment."""

import subprocess
import sys
from pathlib import Path


def test_an_interrupt_while_a_connection_is_handed_back_shows_no_traceback(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from sqlalchemy import event
from chengshu.cli import main as command
from databases import database_at

def interrupted(*_):
    raise KeyboardInterrupt

def play():
    database = database_at(Path({str(tmp_path / "node.db")!r}))
    event.listen(database.engine, "reset", interrupted)
    with database.read():
        pass

command.app = play
try:
    command.main()
except KeyboardInterrupt:
    sys.exit(130)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert (ran.returncode, ran.stderr) == (130, "")


def test_an_interrupt_while_the_program_is_being_loaded_shows_no_traceback() -> None:
    program = """
import sys
class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "chengshu.cli.main":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Impatient())
from chengshu.__main__ import main
main()
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert (ran.returncode, ran.stderr) == (130, "")
