"""What the tests of packs share: the cut recording, and what each party holds of it, made once."""

import pytest
from pilot_files import Sample, cut, pilot

from chengshu import plugins
from chengshu.methods.recording import write_recording


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    pack = pilot()
    folder = tmp_path_factory.mktemp("recording")
    write_recording(cut(pack.source.recording), folder)
    observe = plugins.source(pack.source.method)
    return Sample(pack, folder, dict(observe(folder, pack.source.parameters)))
