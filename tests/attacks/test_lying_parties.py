"""What an asker and a clean room that lie would try against an honest holder: each attack is answered by the holder alone."""

from copy import deepcopy
from typing import Any

import pytest
from small_space import SECRET, Town, kinds, sign, signed_job, wire

from chengshu.cleanroom.model import SqlQuestion
from chengshu.kernel.errors import Invalid


def _handed_on(town: Town, document: dict[str, Any], *, product: str = "counts", signature: str = "") -> dict[str, Any]:
    """What the holder answers to a room that hands a job on without having looked at it."""
    message = {"job": document, "signature": signature or sign(town.firm, document), "product": product}
    return wire(town.room).post(town.road.identity.did, "/room/inputs", message)


def _lax(schema: dict[str, Any], alias: str) -> dict[str, Any]:
    """A schema that protects nobody, over the columns of an honest one."""
    columns = [{"name": one["name"], "type": one["type"], "role": "free"} for one in schema["columns"]]
    return {"product": alias, "columns": columns, "privacy_unit": None, "minimum_group": 1}


# --- a job that carries terms of its own making


def test_a_product_under_a_second_name_with_a_laxer_schema_lets_no_row_out(town: Town) -> None:
    sql = "SELECT vehicle, speed, COUNT(*) AS n FROM road.lax GROUP BY vehicle, speed ORDER BY speed DESC"
    document, _ = signed_job(town.firm, town.room, [town.choice()], question=SqlQuestion(sql))
    (part,) = document["inputs"]
    document["inputs"] = [part, {**deepcopy(part), "schema": _lax(part["schema"], "road.lax")}]
    with pytest.raises(Invalid) as by_holder:
        _handed_on(town, document)
    with pytest.raises(Invalid) as by_room:
        wire(town.firm).post(town.room.identity.did, "/room/jobs", {"job": document, "signature": sign(town.firm, document)})
    assert [caught.value.code for caught in (by_holder, by_room)] == ["cleanroom.document", "cleanroom.document"]
    assert str(SECRET) not in str(by_room.value)
    assert kinds(town.road, document["id"]) == kinds(town.room, document["id"]) == []


def test_a_holder_judges_every_product_of_its_own_that_a_job_names_not_only_the_one_asked_for(town: Town) -> None:
    sql = "SELECT vehicle, COUNT(*) FROM road.other GROUP BY vehicle"
    document, _ = signed_job(town.firm, town.room, [town.choice(), town.choice("other")], question=SqlQuestion(sql))
    honest, other = document["inputs"]
    lax = {**other, "schema": _lax(other["schema"], "road.other")}
    borrowed = {**other, "agreement": honest["agreement"]}
    for part, rule in ((lax, "schema-changed"), (borrowed, "agreement-of-another"), (other, "group-column")):
        asked = {**document, "inputs": [honest, part]}
        assert _handed_on(town, asked, product="counts")["refused"]["rule"] == rule
    assert set(kinds(town.road, document["id"])) == {"job.refused"}
