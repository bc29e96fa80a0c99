"""What a holder's own rows come to for a masked sum: each product in place, under its own gates and guard, as if it were asked alone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial, reduce

import pyarrow as pa

from chengshu.catalog.service import Catalog
from chengshu.cleanroom.engines.choosing import Engines
from chengshu.cleanroom.gate.differencing import Guard
from chengshu.cleanroom.gate.release import passing
from chengshu.cleanroom.model import Job, JobInput
from chengshu.cleanroom.relation.model import VettedQuery, products
from chengshu.cleanroom.secure_aggregation.form import Form, Own
from chengshu.cleanroom.unions.separating import separated
from chengshu.cleanroom.workplace import Workplace
from chengshu.kernel.canonical import Digests
from chengshu.kernel.database import Database
from chengshu.kernel.refusal import Refused


@dataclass(frozen=True, slots=True)
class Computed:
    """What a node has for a question, in which form, and how many rows of each of its products were read for it."""

    form: Form
    own: Own
    rows: Mapping[str, int]


class Computing:
    """Adds up the rows of this node's products."""

    def __init__(self, database: Database, place: Workplace, *, catalog: Catalog, engines: Engines, digests: Digests) -> None:
        self._database = database
        self._place = place
        self._catalog = catalog
        self._engines = engines
        self._digests = digests

    def figures(self, job: Job, vetted: VettedQuery, mine: Collection[JobInput]) -> Computed | Refused:
        """Return what ``mine`` come to, or the refusal of the guard; raises as the catalog and an engine do."""
        form = Form.of(vetted)
        found: list[Own] = []
        rows: dict[str, int] = {}
        by_alias = {one.alias: one.product for one in mine}
        for body in separated(vetted.summary.body):
            (alias,) = products(body)
            if alias in by_alias:
                tables = {alias: self._catalog.open(by_alias[alias])}
                rows[by_alias[alias]] = tables[alias].num_rows
                passed = self._passing(job, form.part(vetted, body), tables)
                if isinstance(passed, Refused):
                    return passed
                found.append(form.own(passed))
        return Computed(form, reduce(partial(Own.plus, groups=form.groups), found), rows)

    def _passing(self, job: Job, part: VettedQuery, tables: Mapping[str, pa.Table]) -> pa.Table | Refused:
        """The groups of one product that may leave; none are none, as they are for who asks: the total has no such group then."""
        engine = self._engines.choose(tables)
        with self._place.folder() as folder:
            spill = self._place.spill_in(folder)
            result = engine.run(part, tables, spill=spill)
            held = Guard(self._database, engine=engine, digests=self._digests).held(job, part, result, tables=tables, spill=spill)
        if isinstance(held, Refused):
            return held
        passed = passing(held, query=part)
        return held.slice(0, 0) if isinstance(passed, Refused) else passed
