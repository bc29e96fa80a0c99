"""What the report calls a run, its sections and its zones."""

import re
from itertools import pairwise

import pytest
import shapely
from page_reader import read_page

from chengshu.kernel.text import Text
from chengshu.scenario.report import cartography


def test_every_heading_carries_its_number_in_the_contents(write, play):
    page = read_page(write(play))
    contents = [node.text("en").strip() for node in page.all("nav")[0].all("li")]
    headings = [" ".join(node.text("en").split()) for node in page.all("h2") if node.attributes.get("class") != "small"]
    assert headings == [f"{number} {title}" for number, title in enumerate(contents, 1)]


def test_a_play_of_the_users_own_files_is_not_called_simulated(write, play):
    play["run"]["label"] = {"en": "your own files", "zh": "您自己的文件"}
    text = write(play)
    page = read_page(text)
    for place in ("header", "footer"):
        assert "simulat" not in page.all(place)[0].text("en")
        assert "仿真" not in page.all(place)[0].text("zh")
    assert "A recorded simulation" not in text
    assert "every table of this run is a file" in text.replace("Every", "every")


@pytest.mark.parametrize("count", [2, 5])
def test_names_of_zones_at_one_corner_stand_below_one_another(count):
    zones = [cartography.Zone(Text(f"Zone number {n}", f"第 {n} 区"), shapely.box(10 * n, 0, 500, 500)) for n in range(count)]
    drawn = cartography.network_map(None, zones, [], label_id="x")
    heights = sorted(float(y) for y in re.findall(r'class="zone-name" x="[^"]+" y="([^"]+)"', drawn.text))
    assert len(heights) == count
    assert min(after - before for before, after in pairwise(heights)) >= 30.0
