"""The page itself: one file, two languages, nothing loaded from anywhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined

from chengshu.kernel.text import Language, Text
from chengshu.methods.projection import LocalFrame
from chengshu.scenario.model import Pack
from chengshu.scenario.play import OWN_FILES
from chengshu.scenario.report import cartography, charts, dealings, proof, worth
from chengshu.scenario.report.headline import JOB, Seen, counted_seen, headline
from chengshu.scenario.report.markup import both, sentence
from chengshu.scenario.report.reading import Cast, Row, Table, absence, cast_of, fixed, job, label_told, part, parts, rows, text_of, whole


def write_report(
    play: Mapping[str, Any],
    *,
    pack: Pack,
    lanes: pa.Table | None,
    frame: LocalFrame | None,
    zones: Mapping[str, Any] | None,
    language: Language,
    path: Path,
) -> Path:
    """Write what a play came to as one self-contained HTML page in both languages, beginning in ``language``; return ``path``.

    ``play`` is the play's document; any part of it may be missing, and the page then says so. ``lanes`` (columns xs, ys: lists of local
    metres; width_m), ``frame`` and ``zones`` (a GeoJSON FeatureCollection, WGS84) make the map. The page loads nothing from anywhere.
    """
    cast = cast_of(play, pack)
    environment = Environment(
        loader=PackageLoader("chengshu.scenario"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["both"] = both
    environment.globals["t"] = sentence
    page = environment.get_template("report.html.j2").render(
        language=language,
        pack=pack,
        title=pack.title.of(language),
        cast=cast,
        label=label_told(play, pack),
        simulated=label_told(play, pack) != OWN_FILES,
        parties=parts(play, "parties"),
        run=_run(play),
        **_worth(play, cast),
        **_map(play, lanes=lanes, frame=frame, zones=zones),
        **_dealings(play, cast),
        **_proof(play, cast),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _run(play: Row) -> list[tuple[Text, str]]:
    run = part(play, "run")
    known = (
        (Text("Begun", "开始时间"), str(run.get("started_at") or "")),
        (Text("Took", "用时"), f"{fixed(run.get('seconds'))} s" if run.get("seconds") is not None else ""),
        (Text("Version", "版本"), str(run.get("version") or "")),
    )
    return [(name, value) for name, value in known if value]


def _worth(play: Row, cast: Cast) -> dict[str, object]:
    head = headline(play, cast)
    seen = counted_seen(play, cast)
    series, lead_table = worth.by_lead(play, cast)
    eta, lift = worth.arrival(play, cast)
    hazards = job(play, JOB)
    return {
        "head": head,
        "whisker": charts.whisker(value=head.value, low=head.low, high=head.high, label_id="caption-interval"),
        "dots": _dots(seen),
        "seen": seen,
        "misses": worth.misses(play, cast),
        "no_hazards": absence(play, JOB, table="coalitions"),
        "lead_chart": charts.lines(series, label_id="caption-leads"),
        "lead_table": lead_table,
        "encounters": worth.by_encounter(play, cast),
        "accuracy": worth.accuracy(play, cast),
        "warnings": worth.warnings(play, cast),
        "no_accuracy": absence(play, JOB, table="accuracy"),
        "eta": eta,
        "lift": lift,
        "notes": [text_of(note) for note in hazards.get("notes") or []],
        "missing": [str(name) for name in hazards.get("missing") or []],
    }


def _dots(seen: Seen | None) -> dict[str, object] | None:
    if seen is None or seen.fused < seen.best:
        return None
    gained, missed = seen.fused - seen.best, seen.n - seen.fused
    groups = ((seen.best, "plain"), (gained, "main"), (missed, "open"))
    figure, each = charts.dots(groups, label_id="caption-dots")
    legend = charts.key(
        ("plain", Text(f"{seen.best:,} seen by the best single party", f"最佳单一方发现 {seen.best:,} 起")),
        ("main", Text(f"{gained:,} seen only together", f"仅融合后发现 {gained:,} 起")),
        ("open", Text(f"{missed:,} missed by all", f"各方均未发现 {missed:,} 起")),
    )
    return {"figure": figure, "key": legend, "each": each}


def _map(play: Row, *, lanes: pa.Table | None, frame: LocalFrame | None, zones: Mapping[str, Any] | None) -> dict[str, object]:
    found = rows(play, JOB, "hotspots")
    spots = cartography.spots_of(found, frame)
    areas = cartography.zones_of(zones, frame)
    columns = (Text("Latitude", "纬度"), Text("Longitude", "经度"), Text("Conflicts", "冲突数"))
    cells = tuple((fixed(row.get("lat"), digits=4), fixed(row.get("lon"), digits=4), f"{whole(row.get('n')):,}") for row in found)
    caption = Text("Hot-spots, by 100 m cell", "冲突热点（100 米网格）")
    return {
        "map": cartography.network_map(lanes, areas, spots, label_id="caption-map"),
        "sizes": cartography.size_key(spots),
        "spots": len(spots),
        "zones": len(areas),
        "no_roads": lanes is None or lanes.num_rows == 0,
        "no_spots": absence(play, JOB, table="hotspots"),
        "spot_table": Table(caption, columns, cells, frozenset({0, 1, 2})) if cells else None,
    }


def _dealings(play: Row, cast: Cast) -> dict[str, object]:
    table, words = dealings.compliance(play)
    allowed, refused = dealings.questions(play, cast)
    return {
        "rules": table,
        "rules_words": words,
        "standing": dealings.standing(play),
        "rules_key": charts.key(
            ("plain", Text("compliant", "合规")), ("main", Text("violation", "违规")), ("open", Text("unknown", "未知"))
        ),
        "no_rules": absence(play, "compliance", table="rules"),
        "contracts": dealings.contracts(play, cast),
        "allowed": allowed,
        "refused": refused,
    }


def _proof(play: Row, cast: Cast) -> dict[str, object]:
    return {
        "settlement": proof.settlement(play, cast),
        "logs": proof.logs(play, cast),
        "use": proof.one_use(play, cast),
        "products": proof.products(play, cast),
        "set_aside": proof.set_aside(play),
        "clocks": proof.clocks(play),
    }
