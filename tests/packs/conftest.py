"""What the tests of packs share: the cut recording, and what each party holds of it, made once."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from pilot_files import cut, pilot

from chengshu import plugins
from chengshu.methods.recording import write_recording
from chengshu.scenario.model import Pack


@dataclass(frozen=True)
class Sample:
    """The pilot's pack, a short recording in a folder of its own, and every party's products of that."""

    pack: Pack
    recording: Path
    products: dict[str, pa.Table]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    pack = pilot()
    folder = tmp_path_factory.mktemp("recording")
    write_recording(cut(pack.source.recording), folder)
    observe = plugins.source(pack.source.method)
    return Sample(pack, folder, dict(observe(folder, pack.source.parameters)))
