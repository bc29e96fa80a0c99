"""The pilot's two sealed methods as a clean room sees them before it runs them: what they read, and what they may let out."""

import pyarrow as pa

from chengshu.methods.pilot.permit import RULE_IDS
from chengshu.methods.sealed import Kind, OutputTable, SealedMethod

_MULTIPLIER = pa.schema(
    [
        ("status", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("method", pa.string()),
        ("best_single", pa.string()),
        ("missed_best", pa.int64()),
        ("missed_fused", pa.int64()),
        ("miss_best", pa.float64()),
        ("miss_fused", pa.float64()),
        ("lead_s", pa.float64()),
        ("roadside_share", pa.float64()),
        ("n", pa.int64()),
    ]
)
_ACCURACY = pa.schema(
    [
        ("picture", pa.string()),
        ("encounter", pa.string()),
        ("measure", pa.string()),
        ("n", pa.int64()),
        ("found", pa.int64()),
        ("matched", pa.int64()),
        ("recall", pa.float64()),
        ("precision", pa.float64()),
    ]
)
_ETA = pa.schema([("source", pa.string()), ("mae_s", pa.float64()), ("bias_s", pa.float64()), ("covered", pa.float64()), ("n", pa.int64())])
_ALIGNMENT = pa.schema([("source", pa.string()), ("offset_ms", pa.float64()), ("state", pa.string()), ("n", pa.int64())])
_ASIDE = pa.schema([("source", pa.string()), ("rule", pa.string()), ("kept", pa.bool_()), ("n", pa.int64())])
TABLES: dict[str, pa.Schema] = {
    "coalitions": pa.schema([("coalition", pa.string()), ("seen", pa.int64()), ("n", pa.int64())]),
    "multiplier": _MULTIPLIER,
    "leads": pa.schema([("lead_s", pa.float64()), ("coalition", pa.string()), ("seen", pa.int64()), ("n", pa.int64())]),
    "encounters": pa.schema([("encounter", pa.string()), ("coalition", pa.string()), ("seen", pa.int64()), ("n", pa.int64())]),
    "false_tracks": pa.schema([("source", pa.string()), ("n", pa.int64()), ("false_tracks", pa.int64())]),
    "accuracy": _ACCURACY,
    "warnings": pa.schema(
        [
            ("view", pa.string()),
            ("n", pa.int64()),
            ("warned", pa.int64()),
            ("in_time", pa.int64()),
            ("warnings", pa.int64()),
            ("true_warnings", pa.int64()),
            ("recall", pa.float64()),
            ("precision", pa.float64()),
        ]
    ),
    "hotspots": pa.schema([("lat", pa.float64()), ("lon", pa.float64()), ("n", pa.int64())]),
    "eta": _ETA,
    "alignment": _ALIGNMENT,
    "set_aside": _ASIDE,
}
_KINDS: dict[pa.DataType, Kind] = {pa.string(): "text", pa.int64(): "integer", pa.float64(): "double", pa.bool_(): "boolean"}

_CODES = frozenset(
    {
        *("av_pilot.frame", "conflicts.column-missing", "conflicts.column-type", "methods.projection.unknown", "sightings.column-missing"),
        *("multiplier.lengths-differ", "multiplier.no-baseline", "shapley.coalition-missing", "shapley.groups-overlap"),
        *("shapley.not-copies", "shapley.too-few-permutations", "shapley.too-many-players"),
    }
)
_PERMIT_CODES = frozenset(
    {
        *(
            "geofence.invalid-polygon",
            "geofence.not-a-polygon",
            "geofence.zone-count",
            "pilot.context",
            "pilot.document",
            "pilot.telemetry",
        ),
        *("permit.invalid", "permit.invalid-polygon", "permit.open-ring", "permit.out-of-bbox", "permit.swapped"),
        *("permit.window-reversed", "permit.wrong-datum", "methods.projection.unknown"),
    }
)

HAZARDS = SealedMethod(
    run="chengshu.methods.av_pilot.safety:value_of_fusing",
    required=frozenset({"av_state", "map_lane"}),
    optional=frozenset(
        {
            "av_objects",
            "rsu_objects",
            "spat",
            "map_foes",
            "fleet_gnss",
            "probe_gnss",
            "hazard_truth",
            "conflict_truth",
            "truth_tracks",
        }
    ),
    outputs={
        name: OutputTable(columns={field.name: _KINDS[field.type] for field in schema}, most_rows=2000) for name, schema in TABLES.items()
    },
    codes=_CODES,
)
"""The entry point ``av_pilot.hazards``."""

COMPLIANCE = SealedMethod(
    run="chengshu.methods.av_pilot.supervision:supervise",
    required=frozenset({"av_state", "permit"}),
    optional=frozenset({"pilot_register"}),
    outputs={
        "rules": OutputTable(
            columns={
                "rule": "text",
                "title_en": "text",
                "title_zh": "text",
                "source": "text",
                "n": "integer",
                "compliant": "integer",
                "violation": "integer",
                "unknown": "integer",
                "missing_from": "text",
            },
            most_rows=len(RULE_IDS),
        )
    },
    codes=_PERMIT_CODES,
)
"""The entry point ``av_pilot.compliance``."""
