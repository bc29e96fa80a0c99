"""Every file of the corpus is an attack: it succeeds on a plain database, and fails on the clean room by the stated rule."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from attack_files import Answer, Attack, attacks
from attacked_rooms import Room, Unprotected, room, shown, tables, unprotected

ATTACKS = attacks()


def _asked(target: Room | Unprotected, attack: Attack, folder: Path) -> list[Answer]:
    return [target.ask(sql.replace("{folder}", str(folder))) for sql in attack.questions]


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "secret.csv").write_text("password\nhunter2\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.path.parent.name}/{attack.path.stem}")
def test_an_attack_succeeds_on_a_plain_database_and_fails_on_the_room_by_the_stated_rule(attack: Attack, tmp_path: Path) -> None:
    worlds = [tables(None)] if attack.other_world is None else [tables(None), tables(attack.other_world)]
    plain, guarded = _folder(tmp_path / "plain"), _folder(tmp_path / "guarded")
    with ExitStack() as stack:
        controls = [_asked(stack.enter_context(unprotected(world, noisy=attack.is_against_noise)), attack, plain) for world in worlds]
        rooms = [room(tmp_path / f"room{place}", world, attack.rho) for place, world in enumerate(worlds)]
        answers = [_asked(stack.enter_context(one), attack, guarded) for one in rooms]
    assert attack.succeeds(controls[0], controls[-1], plain), [shown(one) for one in controls[0]]
    assert not attack.succeeds(answers[0], answers[-1], guarded), [shown(one) for one in answers[0]]
    assert _unexpected(attack, answers[0]) == []


def _unexpected(attack: Attack, answers: Sequence[Answer]) -> list[str]:
    return [one.verdict for one, expected in zip(answers, attack.stopped_by, strict=True) if one.verdict not in expected]
