"""What can be asked of the catalog: publish, withdraw, look up, search, offer to others, and open for use."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection

from chengshu.catalog import listing_store, store
from chengshu.catalog.fit import Fit, fit
from chengshu.catalog.listing import listing_of, words_of
from chengshu.catalog.model import Acceptance, DataContract, Grade, Product, ProductState, QualityReport, Severity
from chengshu.catalog.odcs import contract_of
from chengshu.catalog.ports import Evidence, Held, Rows, Sources
from chengshu.catalog.quality import Further, Intake, take_in, usable_rows
from chengshu.catalog.restricting import restricted
from chengshu.catalog.restriction import Restriction
from chengshu.catalog.sources.faults import NEW_VERSION, differs
from chengshu.catalog.sources.opening import PlacesOfRows
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Conflict, Invalid, NotFound
from chengshu.kernel.ids import NewId
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.policy.odrl import from_odrl

MAX_REASON = 1024
NAMED_FINDINGS = 5

_LIST = Text("List the products with 'chengshu product list'.", "请用 chengshu product list 查看产品列表。")
_OFFER = Text(
    "Give the policy as one ODRL Offer: @type Offer, an optional @id, and no target (the product is the target).",
    "请以一个 ODRL Offer 给出策略：@type 为 Offer，@id 可选，不写 target（产品即为 target）。",
)
_REASON = Text("Say why the product has this grade.", "请说明定级理由。")
_MEND = Text(
    "Correct the source and publish again, or publish it flagged ('--accept-flagged'): users then see the findings.",
    "请更正数据源后重新发布；或带标记发布（--accept-flagged），使用者将看到这些问题。",
)


class Catalog:
    """The node's products: what is offered under which contract and policy, and the verified rows behind each.

    Without ``sources`` products are read from files alone.
    """

    def __init__(
        self, database: Database, *, evidence: Evidence, digests: Digests, clock: Clock, new_id: NewId, sources: Sources | None = None
    ) -> None:
        self._database = database
        self._evidence = evidence
        self._digests = digests
        self._clock = clock
        self._new_id = new_id
        self._sources = PlacesOfRows(digests) if sources is None else sources

    def publish(
        self,
        document: Mapping[str, Any],
        *,
        source: Path | None = None,
        policy: Mapping[str, Any],
        acceptance: Acceptance = Acceptance.CLEAN,
        further: Further | None = None,
    ) -> Product | Refused:
        """Publish one version of a product: its ODCS document as received, the rows behind it, and the ODRL Offer it is offered under.

        The rows are in the file ``source``, or in the place that the contract names where there is none: they are read whole here, to be
        checked and to have their digest published, and again at each hand-over, to be compared with it.

        An earlier published version of the same id is superseded. Returns Refused, with the source recorded as quarantined, when
        the file has quality errors, its own or those of the ``further`` check, and ``acceptance`` is CLEAN. Raises Invalid for a
        contract, a policy or a file that cannot be understood, Conflict for a version that was published before or a file that changes
        while it is read, Denied for a place that the operator has not named, and Unavailable for one that does not answer to the end.
        """
        contract = contract_of(document, file="data contract")
        offer = self._offer(policy)
        path = None if source is None else source.resolve()
        taken, data_digest = self._taken_in(path, contract, further)
        product = Product(
            id=contract.id,
            version=contract.version,
            contract=contract,
            document=document,
            contract_digest=self._digests.of(document),
            policy=offer,
            policy_digest=self._digests.of(offer),
            path=path,
            data_digest=data_digest,
            rows=taken.report.rows,
            quality=taken.report.summary(),
            state=ProductState.PUBLISHED,
            published_at=self._clock(),
        )
        with self._database.write() as tx:
            self._check_new(tx, contract)
            too_wide = _too_wide(store.grade_of(tx, product.id), offer)
            if too_wide is not None:
                return too_wide
            if taken.report.has_errors and acceptance is Acceptance.CLEAN:
                self._evidence.append(tx, "source.quarantined", product.id, _quarantine_body(product.id, product.version, taken.report))
                return _refusal(taken)
            former = store.find(tx, product.id)
            if former is not None:
                store.save_state(tx, former, state=ProductState.SUPERSEDED)
            store.add(tx, product)
            listing_store.put(tx, listing_of(product, store.grade_of(tx, product.id)))
            self._evidence.append(tx, "product.published", product.id, _publication(product))
            made = {"product": product.id, "version": product.version, "offer": offer["@id"], "policy_digest": product.policy_digest}
            self._evidence.append(tx, "offer.made", product.id, made)
        return product

    def grade(self, product_id: str, grade: Grade, *, reason: str) -> Grade | Refused:
        """Set a published product's grade, for all its versions; raise NotFound for an unknown product, Invalid for an empty reason.

        Returns Refused where the offer that the product stands under is wider than the grade allows; a core product's offer is not shown
        from now on, and its holder lets no job use it.
        """
        stated = reason.strip()
        if not 0 < len(stated) <= MAX_REASON:
            raise Invalid("product.grade-reason", f"expected a reason of 1 to {MAX_REASON} characters, got {len(stated)}", hint=_REASON)
        with self._database.write() as tx:
            product = self.find(tx, product_id)
            if grade is not Grade.CORE and (too_wide := _too_wide(grade, product.policy)) is not None:
                return too_wide
            before = store.grade_of(tx, product_id)
            store.save_grade(tx, product_id, grade=grade, reason=stated, at=self._clock())
            listing_store.put(tx, listing_of(product, grade))
            body = {
                "product": product_id,
                "before": before.value,
                "grade": grade.value,
                "reason_digest": self._digests.of_bytes(stated.encode()),
            }
            self._evidence.append(tx, "grade.set", product_id, body)
        return grade

    def grade_of(self, tx: Connection, product_id: str) -> Grade:
        """Return a product's grade within the caller's transaction; general until its owner set another."""
        return store.grade_of(tx, product_id)

    def withdraw(self, product_id: str) -> Product:
        """Take a product out of the catalog; its versions stay on record. Raises NotFound."""
        with self._database.write() as tx:
            product = store.save_state(tx, self.find(tx, product_id), state=ProductState.WITHDRAWN)
            listing_store.remove(tx, product_id)
            self._evidence.append(tx, "product.withdrawn", product.id, {"product": product.id, "version": product.version})
        return product

    def get(self, product_id: str) -> Product:
        """Return the published version of a product; raise NotFound."""
        with self._database.read() as tx:
            return self.find(tx, product_id)

    def versions(self, product_id: str) -> list[Product]:
        """Return every version of a product that was ever published, oldest first; none for an unknown product."""
        with self._database.read() as tx:
            return store.find_versions(tx, product_id)

    def products(self) -> list[Product]:
        """Return every published product, in the order of publication."""
        with self._database.read() as tx:
            return store.find_all(tx)

    def grades(self) -> dict[str, Grade]:
        """Return the grade of every product whose owner set one."""
        with self._database.read() as tx:
            return store.every_grade(tx)

    def search(self, words: str) -> list[Product]:
        """Return the published products in whose id, names, description, owner or column names every word occurs, whatever the case."""
        wanted = words.casefold().split()
        return [product for product in self.products() if all(word in words_of(product.contract) for word in wanted)]

    def list_all(self) -> int:
        """List every published product that is not listed, as those of a node from before there were listings; return how many."""
        with self._database.read() as tx:
            if listing_store.count(tx) == store.count(tx):
                return 0
        with self._database.write() as tx:
            missing = [product for product in store.find_all(tx) if listing_store.find(tx, product.id) is None]
            for product in missing:
                listing_store.put(tx, listing_of(product, store.grade_of(tx, product.id)))
        return len(missing)

    def find(self, tx: Connection, product_id: str) -> Product:
        """Return the published version of a product within the caller's transaction; raise NotFound."""
        product = store.find(tx, product_id)
        if product is None:
            raise NotFound("product.unknown", f"expected the id of a published product, got {product_id}", hint=_LIST)
        return product

    def version_of(self, tx: Connection, product_id: str) -> str | None:
        """Return the digest of a published product's data within the caller's transaction; None where none of that id is published."""
        product = store.find(tx, product_id)
        return None if product is None else product.data_digest

    def ids(self, tx: Connection) -> list[str]:
        """Return the ids of every published product within the caller's transaction."""
        return store.ids(tx)

    def policy_of(self, tx: Connection, dataset_id: str) -> dict[str, Any] | None:
        """Return the ODRL Offer a product is offered under, within the caller's transaction; None where it is not offered."""
        policy = store.policy_of(tx, dataset_id)
        return None if policy is None or store.grade_of(tx, dataset_id) is Grade.CORE else policy

    def open(self, product_id: str) -> pa.Table:
        """Return a product's rows, after verifying that they are the ones published; duplicate and empty rows are set aside.

        Raises NotFound for an unknown product; Conflict for a file that changed, and Invalid for one that is gone; of a place, Conflict
        ``product.changed`` or ``product.schema-drift`` where it holds other rows, or another form, than were published, and Unavailable
        where it does not answer to the end.
        """
        return self._opened(self.get(product_id))

    def rows(self, product_id: str, *, columns: Collection[str] | None = None, only: Sequence[Restriction] = ()) -> Rows:
        """Return the rows of :meth:`open` as they pass, in bounded memory where they lie in a file of which no row is set aside.

        ``columns`` are those that are wanted; None is all. ``only`` restricts the rows. Raises as :meth:`open` before the first batch; a
        file that changes meanwhile raises Conflict after the last one, and the rows are void then.
        """
        product = self.get(product_id)
        read = None if columns is None else {*columns, *(one.column for one in only)}
        passing = None
        if not _sets_rows_aside(product):
            passing = self._sources.of(product.contract, product.path).passing(published=product.data_digest, columns=read)
        rows = Rows.of(self._opened(product), columns=read) if passing is None else passing
        return restricted(rows, only, columns=columns) if only else rows

    def _opened(self, product: Product) -> pa.Table:
        table = self._as_published(product).table
        return usable_rows(table, product.contract) if _sets_rows_aside(product) else table

    def fit(self, contract: DataContract, *, source: Path | None = None) -> Fit:
        """Hold a contract against the columns that its source has now; no row is read, nothing is published. Raises as :meth:`publish`."""
        place = self._sources.of(contract, None if source is None else source.resolve())
        return fit(contract, place.columns(), source=place.name)

    def infer(self, server: str, name: str, *, owner: str) -> DataContract:
        """Return a contract for a table, view or object at a server that the operator named. Raises as :meth:`publish`."""
        return self._sources.inferred(server, name, owner=owner)

    def _as_published(self, product: Product) -> Held:
        source = self._sources.of(product.contract, product.path)
        try:
            held = source.read(published=product.data_digest)
        except Invalid as error:
            if error.code == "source.access":  # the operator's own file is wrong, which says nothing of the rows
                raise
            if product.path is not None:
                raise
            raise differs(product, error.code, error.message) from error
        if held.digest != product.data_digest:
            raise differs(product, "", f"{source.name}: expected the rows as published, got others")
        return held

    def _taken_in(self, path: Path | None, contract: DataContract, further: Further | None) -> tuple[Intake, str]:
        """The intake of a source and the digest of the very rows it was made from."""
        source = self._sources.of(contract, path)
        held = source.read()
        taken = take_in(held.table, contract, file=source.name, extra_columns=held.extra_columns)
        if further is not None:
            taken = taken.also(further(held.table, contract, source.name))
        return taken, held.digest

    def _offer(self, policy: Mapping[str, Any]) -> dict[str, Any]:
        if policy.get("@type", "Offer") != "Offer" or "target" in policy:
            got = "one with a target" if "target" in policy else "another type"
            raise Invalid("product.policy", f"expected an ODRL Offer without a target, got {got}", hint=_OFFER)
        return {"@id": self._new_id(), **policy, "@type": "Offer"}

    def _check_new(self, tx: Connection, contract: DataContract) -> None:
        if store.has_version(tx, contract.id, version=contract.version):
            raise Conflict(
                "product.version-exists",
                f"expected a new version of {contract.id}, got {contract.version}, which was published before",
                hint=NEW_VERSION,
                facts={"product": contract.id, "version": contract.version},
            )


def _sets_rows_aside(product: Product) -> bool:
    return any(finding["severity"] == Severity.ROWS for finding in product.quality["findings"])


def _too_wide(grade: Grade, policy: Mapping[str, Any]) -> Refused | None:
    """Why a product of this grade may not stand under an offer with this policy; a general one stands under any."""
    return None if grade is Grade.GENERAL else grade.refuses(is_open_to_all=from_odrl(policy).is_open_to_all)


def _refusal(taken: Intake) -> Refused:
    errors = [finding for finding in taken.report.findings if finding.severity is Severity.ERROR]
    named = "; ".join(
        f"{finding.rule}{f' in column {finding.column}' if finding.column else ''}"
        f"{f', first in row {finding.rows[0]}' if finding.rows else ''}: expected {finding.expected}, got {finding.got}"
        for finding in errors[:NAMED_FINDINGS]
    )
    facts: dict[str, str | int] = {"file": taken.report.file, "rows": taken.report.rows, "errors": len(errors)}
    return Refused("quality-findings", f"{taken.report.file}: {named}", _MEND, facts)


def _publication(product: Product) -> dict[str, Any]:
    return {
        "product": product.id,
        "version": product.version,
        "contract_digest": product.contract_digest,
        "data_digest": product.data_digest,
        "policy_digest": product.policy_digest,
        "rows": product.rows,
        "quality": dict(product.quality),
    }


def _quarantine_body(product_id: str, version: str, report: QualityReport) -> dict[str, Any]:
    return {"product": product_id, "version": version, "file": report.file, "quality": report.summary()}
