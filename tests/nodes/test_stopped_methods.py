"""A method that tries to leave its cell ends its job by a rule, on every side: asker, room and holder; and nothing of it is released."""

import json
from pathlib import Path

import pytest
from small_settlement import plugged_in
from small_space import PURPOSE, agree, ask, born, counts, hang_up, kinds, publish, until

from chengshu import config
from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.cell.order import MethodLimits, Sealing
from chengshu.cleanroom.model import MethodQuestion
from chengshu.cli import doctor
from chengshu.node import open_node
from chengshu.policy.model import Environment, Form, Methods, OutputForm, Policy, Purpose
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space

METHODS = frozenset({"hostile.attack", "hostile.name", "hostile.leave"})


def test_a_method_that_tries_is_refused_and_recorded_and_no_word_of_its_own_is_told(tmp_path: Path) -> None:
    with plugged_in(), Space(tmp_path) as space:
        road, firm = (space.add(name) for name in ("road", "firm"))
        room = space.add("room", clean_room=True)
        terms = (Purpose(frozenset({PURPOSE})), Environment(room.identity.did), Methods(METHODS), OutputForm(Form.AGGREGATE))
        publish(road, "counts", policy=to_odrl(Policy(terms)), table=counts())
        inputs = [InputChoice(road.identity.did, "counts", agree(firm, road, "counts"))]
        key = str(room.folder / "keys" / "node.key")

        tried = ask(firm, room, inputs, question=MethodQuestion("hostile.attack", {"attack": "read", "secret": key}))
        assert (tried.state, tried.outcome and dict(tried.outcome.tables)) == ("REFUSED", {})
        assert tried.outcome is not None
        assert tried.outcome.refusal is not None
        assert (tried.outcome.refusal.rule, dict(tried.outcome.refusal.facts)) == ("method-files", {"call": "openat"})
        assert kinds(room, tried.job) == ["job.submitted", "job.vetted", "method.stopped", "job.cleared", "job.refused"]
        (entry,) = (one for one in room.evidence.entries(0, room.evidence.size()) if one.kind == "method.stopped")
        assert entry.body == {"job": tried.job, "method": "hostile.attack", "rule": "method-files", "call": "openat"}
        until(lambda: "job.refused" in kinds(road, tried.job))

        for method, state in (("hostile.name", "REFUSED"), ("hostile.leave", "FAILED")):
            ended = ask(firm, room, inputs, question=MethodQuestion(method, {}))
            assert ended.state == state
            assert ended.outcome is not None
            said = json.dumps([*ended.outcome.notes, ended.outcome.refusal and ended.outcome.refusal.as_dict()])
            assert "v007" not in said

        (walls,) = (one for one in doctor.examine(room.folder) if one.about == doctor.METHODS)
        assert (walls.bad, walls.found.en.startswith("sealed off: system calls, privileges, limits")) == (False, True)
        assert not [one for one in doctor.examine(road.folder) if one.about == doctor.METHODS]
    hang_up(*space.nodes.values())


@pytest.mark.parametrize("seal", Sealing)
def test_the_operator_chooses_what_a_room_does_without_a_seal(tmp_path: Path, seal: Sealing) -> None:
    node = born(tmp_path / "room", "room")
    assert node.settings.cleanroom.method_seal == Sealing.REQUIRED
    chosen = node.settings.cleanroom.model_copy(update={"method_seal": seal, "method_cpu_s": 7.0, "method_memory_mib": 300})
    config.write(node.folder, node.settings.model_copy(update={"cleanroom": chosen}))
    methods = open_node(node.folder).room._methods
    assert (methods._sealing, methods._limits) == (seal, MethodLimits(7.0, 300 * 2**20, chosen.timeout_s))
    assert methods._hidden == str(node.folder)
