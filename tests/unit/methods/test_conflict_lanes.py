from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from conflict_world import LANE_SCHEMA, SOUTH_EAST, SOUTH_NORTH, WEST_EAST, lanes, length_of

from chengshu.kernel.errors import Invalid
from chengshu.methods.conflicts.areas import CROSSING, MERGING, conflict_areas
from chengshu.methods.conflicts.lanes import lane_graph


def test_connections_link_lanes_through_the_junction() -> None:
    graph = lane_graph(lanes())
    found = {(int(a), int(b)): float(length) for a, b, length in zip(graph.conn_from, graph.conn_to, graph.conn_length, strict=True)}
    assert found == pytest.approx({(0, 2): 20.0, (1, 3): 20.0, (1, 2): length_of(SOUTH_EAST)})


def test_straight_on_turns_by_nothing_and_a_right_turn_by_ninety_degrees() -> None:
    graph = lane_graph(lanes())
    assert graph.conn_turn.round(6).tolist() == [0.0, 0.0, 90.0]


def test_areas_are_where_centrelines_cross_or_join() -> None:
    graph = lane_graph(lanes())
    areas = conflict_areas(graph, foes=None)
    assert sorted(areas.kind.tolist()) == [MERGING, CROSSING]
    crossing = areas.kind.tolist().index(CROSSING)
    assert areas.place[crossing].tolist() == [10.0, 10.0]
    assert (areas.x[crossing], areas.y[crossing]) == (0.0, 0.0)
    assert areas.margin[crossing].tolist() == [0.0, 0.0]
    merging = 1 - crossing
    assert areas.place[merging].tolist() == pytest.approx([20.0, length_of(SOUTH_EAST)])
    assert (areas.x[merging], areas.y[merging]) == (10.0, 0.0)


def test_a_foe_table_limits_the_areas_to_what_it_declares() -> None:
    foes = pa.table({"lane_a": pa.array([WEST_EAST], pa.int32()), "lane_b": pa.array([SOUTH_NORTH], pa.int32())})
    areas = conflict_areas(lane_graph(lanes()), foes=foes)
    assert areas.kind.tolist() == [CROSSING]


def test_an_empty_foe_table_is_as_good_as_none() -> None:
    foes = pa.table({"lane_a": pa.array([], pa.int32()), "lane_b": pa.array([], pa.int32())})
    areas = conflict_areas(lane_graph(lanes()), foes=foes)
    assert sorted(areas.kind.tolist()) == [MERGING, CROSSING]


def test_slanting_lanes_make_the_area_longer() -> None:
    slanted = lanes().to_pylist()
    slanted[WEST_EAST]["xs"], slanted[WEST_EAST]["ys"] = [-10.0, 10.0], [-10.0, 10.0]
    areas = conflict_areas(lane_graph(pa.Table.from_pylist(slanted, schema=LANE_SCHEMA)), foes=None)
    crossing = areas.kind.tolist().index(CROSSING)
    assert areas.margin[crossing].tolist() == pytest.approx([3.2 * (np.sqrt(2.0) - 1.0)] * 2)


def test_a_lane_drawn_shorter_than_it_is_keeps_its_own_metres() -> None:
    table = lanes()
    longer = table.set_column(7, "length_m", pa.array([2.0 * value for value in table["length_m"].to_pylist()]))
    graph = lane_graph(longer)
    areas = conflict_areas(graph, foes=None)
    assert areas.place[areas.kind.tolist().index(CROSSING)].tolist() == [20.0, 20.0]


def test_a_map_without_junctions_has_no_areas() -> None:
    alone = lanes().slice(0, 1).to_pylist()
    alone[0]["next"] = []
    graph = lane_graph(pa.Table.from_pylist(alone, schema=LANE_SCHEMA))
    assert len(conflict_areas(graph, foes=None).kind) == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda t: t.drop_columns(["next"]), "conflicts.lanes.column-missing"),
        (lambda t: t.set_column(0, "lane", pa.array(range(1, 8), pa.int32())), "conflicts.lanes.numbering"),
        (lambda t: t.set_column(8, "xs", pa.array([[1.0]] * 7)), "conflicts.lanes.shape"),
        (lambda t: t.set_column(10, "next", pa.array([[99]] * 7, pa.list_(pa.int32()))), "conflicts.lanes.next"),
        (lambda t: t.set_column(7, "length_m", pa.array([None] * 7, pa.float64())), "conflicts.lanes.null"),
    ],
)
def test_a_map_that_cannot_be_used_is_refused(change: Callable[[pa.Table], pa.Table], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        lane_graph(change(lanes()))
    assert caught.value.code == code
