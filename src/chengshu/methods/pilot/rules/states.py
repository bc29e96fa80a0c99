"""The branches that many rules share: a vehicle that is not in operation, and a position that cannot be used."""

import numpy as np
from numpy.typing import NDArray

from chengshu.methods.geofence import Side
from chengshu.methods.pilot.context import CAR_MAKER
from chengshu.methods.pilot.permit import CONTROL_MODES
from chengshu.methods.pilot.scene import Flags, Scene
from chengshu.methods.pilot.verdict import Branch, compliant, unknown

MANUAL = CONTROL_MODES.index("manual")


def operating(scene: Scene) -> Flags:
    """Return the ticks that count as pilot operation: automated in any way, of unknown mode, or on a trip.

    Telemetry without a column ``trip_pid`` cannot say that a manual drive was no trip: then every tick counts.
    """
    if scene.on_trip is None:
        return np.ones(scene.n, dtype=np.bool_)
    return np.asarray((scene.mode != MANUAL) | scene.on_trip, dtype=np.bool_)


def idle(scene: Scene) -> list[Branch]:
    """The first branches of rules about operation."""
    unclear = (scene.mode < 0) if scene.on_trip is None else (scene.mode < 0) & ~scene.on_trip
    return [
        (~operating(scene), compliant("not-operating")),
        (np.asarray(unclear & (scene.on_trip is not None), dtype=np.bool_), unknown("control-mode-missing", CAR_MAKER)),
    ]


def driven_by_hand(scene: Scene) -> list[Branch]:
    """The first branches of rules about automated driving."""
    return [
        (np.asarray(scene.mode == MANUAL), compliant("driven-manually")),
        (np.asarray(scene.mode < 0), unknown("control-mode-missing", CAR_MAKER)),
    ]


def unplaced(scene: Scene) -> list[Branch]:
    """The branches for positions that are missing, swapped, or come without their uncertainty."""
    return [
        (scene.swapped, unknown("position-swapped", CAR_MAKER)),
        (np.isnan(scene.x_m) | np.isnan(scene.y_m), unknown("position-missing", CAR_MAKER)),
        (np.isnan(scene.sigma_m), unknown("position-sigma-missing", CAR_MAKER)),
    ]


def across_border(side: NDArray[np.int8]) -> Branch:
    """The branch for a position whose uncertainty reaches across the border."""
    return np.asarray(side == Side.UNCERTAIN), unknown("position-across-border")
