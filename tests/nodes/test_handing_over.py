"""A holder hands over what its log says about a job: policies, contract and proofs, from real nodes."""

from pathlib import Path

from small_space import Town, ask, kinds, until

from chengshu.evidence.examine import examine
from chengshu.evidence.packs.pack_verdict import PackVerdict


def test_a_holders_pack_about_a_job_holds_its_policies_and_proves_the_use(town: Town, tmp_path: Path) -> None:
    job = ask(town.firm, town.room, [town.choice()]).job
    until(lambda: "job.released" in kinds(town.road, job))
    town.road.evidence.publish()
    exported = town.road.exports.pack(job, tmp_path / "case.zip", whole_log=True)
    assert (exported.documents, exported.absent) == (3, 0)  # the agreement's rules, the product's data contract and its offer
    verdict = examine(tmp_path / "case.zip", town.road.evidence.vkey, product="counts", job=job)
    assert isinstance(verdict, PackVerdict)
    assert verdict.holds
    found = [entry.kind for entry in verdict.case.entries]
    assert found[0] == "product.published"
    assert {"negotiation.requested", "negotiation.finalized", "agreement.signed", "job.vetted", "use.metered", "job.released"} <= set(found)
    assert {entry.body.get("product", "counts") for entry in verdict.case.entries} == {"counts"}


def test_the_askers_pack_about_an_agreement_says_what_its_log_shows_and_what_it_does_not(town: Town, tmp_path: Path) -> None:
    town.firm.evidence.publish()
    exported = town.firm.exports.pack(town.agreements["trips"], tmp_path / "case.zip")
    verdict = examine(tmp_path / "case.zip", town.firm.evidence.vkey)
    assert isinstance(verdict, PackVerdict)
    assert (verdict.holds, exported.documents, exported.absent) == (True, 1, 0)
    assert [entry.kind for entry in verdict.case.entries][-1] == "negotiation.finalized"


def test_a_holders_proof_of_use_is_one_small_file(town: Town, tmp_path: Path) -> None:
    job = ask(town.firm, town.room, [town.choice()]).job
    until(lambda: "job.released" in kinds(town.road, job))
    town.road.evidence.publish()
    town.road.exports.use_proof("counts", job, tmp_path / "use.cose")
    assert examine(tmp_path / "use.cose", town.road.evidence.vkey, product="counts", job=job).holds
    assert (tmp_path / "use.cose").stat().st_size < 16_384
