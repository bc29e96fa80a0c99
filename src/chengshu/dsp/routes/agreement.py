"""The paths of an agreement after its signing: ours alone, below ``/agreements``."""

from typing import Any

from fastapi import APIRouter, Response

from chengshu.contract.agreements import Agreements
from chengshu.dsp.routes.door import PATH, Called, Door, Family
from chengshu.dsp.translate import agreement as translate


def agreement_routes(routes: APIRouter, door: Door, agreements: Agreements) -> None:
    """Add the paths below ``/agreements``; an agreement of others looks unknown."""

    def termination(call: Called, agreement_id: str) -> Response:
        def act(sender: str, value: dict[str, Any]) -> dict[str, Any]:
            agreements.seen_by(sender, agreement_id)  # an agreement that is not the sender's looks unknown, whatever the message is like
            said = translate.read_termination(value, sender=sender, agreement_id=agreement_id)
            return translate.standing_of(agreements.receive_termination(sender, said))

        return door.answer(Family.AGREEMENT, call, act, pid=agreement_id)

    def standing(call: Called, agreement_id: str) -> Response:
        def act(sender: str, _: dict[str, Any]) -> dict[str, Any]:
            return translate.standing_of(agreements.seen_by(sender, agreement_id))

        return door.answer(Family.AGREEMENT, call, act, pid=agreement_id)

    routes.post(PATH + "/agreements/{agreement_id:path}/termination")(termination)
    routes.get(PATH + "/agreements/{agreement_id:path}")(standing)
