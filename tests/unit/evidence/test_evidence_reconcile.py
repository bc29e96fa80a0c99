"""Two logs held against each other: alike, waiting, or the first difference; from files alone."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chengshu.evidence.__main__ import main
from chengshu.evidence.reconciling.reconcile import reconcile
from chengshu.evidence.reconciling.reconciliation import Reconciliation
from chengshu.evidence.service import Evidence
from chengshu.identity.model import did_key
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL, NATIONAL, Suite
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.errors import Invalid, NotFound, Tampered
from databases import database_at

digest = Digests(INTERNATIONAL).of
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
Act = tuple[str, dict[str, Any]]


@dataclass
class Party:
    """A party with a key and a log."""

    did: str
    folder: Path
    database: Database
    evidence: Evidence

    def append(self, acts: Sequence[Act]) -> None:
        with self.database.write() as tx:
            for kind, body in acts:
                self.evidence.append(tx, kind, "urn:subject", body)
        self.evidence.publish()


def party(root: Path, name: str, *, claims: str | None = None, suite: Suite = INTERNATIONAL) -> Party:
    root.mkdir()
    signer = suite.generate()
    database = database_at(root / "node.sqlite")
    metadata.create_all(database.engine)
    looks = iter(range(10_000))
    evidence = Evidence(database, signer, f"{name}/log", root / "log", lambda: START + timedelta(seconds=next(looks)))
    did = did_key(signer.public_key)
    with database.write() as tx:
        evidence.append(tx, "node.started", claims or did, {"handle": name})
    evidence.publish()
    return Party(did, root / "log", database, evidence)


@dataclass
class Deal:
    """One contract between a road operator and a firm, and what an honest log of each says about it."""

    road: Party
    firm: Party
    name: str = "a1"

    def signed(self, **other: Any) -> Act:
        body = {"agreement": self.name, "product": "counts", "policy_digest": digest("policy")}
        return ("agreement.signed", {**body, "provider": self.road.did, "consumer": self.firm.did, **other})

    def step(self, kind: str, *, own: str, peer: str | None, **other: Any) -> Act:
        body = {"negotiation": own, "message": digest(kind), **({"peer_pid": peer} if peer else {})}
        after = {"agreement": self.name} if kind in {"agreed", "verified", "finalized"} else {}
        return (f"negotiation.{kind}", {**body, **after, **other})

    def at_road(self) -> list[Act]:
        said = {kind: self.step(kind, own="r1", peer="f1") for kind in ("requested", "agreed", "verified", "finalized")}
        return [said["requested"], said["agreed"], said["verified"], self.signed(), said["finalized"]]

    def at_firm(self) -> list[Act]:
        said = {kind: self.step(kind, own="f1", peer="r1") for kind in ("agreed", "verified", "finalized")}
        return [self.step("requested", own="f1", peer=None), said["agreed"], self.signed(), said["verified"], said["finalized"]]

    def receipt(self, kind: str, job: str, **other: Any) -> Act:
        body = {"receipt_digest": digest(f"receipt {job}"), "job": job, "product": "counts", "agreement": self.name}
        more = {"policy_digest": digest("policy"), "provider": self.road.did, "consumer": self.firm.did, "uses": 1}
        return (f"receipt.{kind}", {**body, **more, **other})

    def metered(self, job: str) -> Act:
        return ("use.metered", {"job": job, "product": "counts", "agreement": self.name, "uses": 1})

    def ended(self, job: str) -> Act:
        return ("job.released", {"job": job, "product": "counts", "agreement": self.name})

    def used_at_road(self, job: str) -> list[Act]:
        return [self.metered(job), self.ended(job), self.receipt("issued", job), self.receipt("countersigned", job)]

    def reconciled(self) -> Reconciliation:
        return reconcile(self.road.folder, self.firm.folder, vkey_a=self.road.evidence.vkey, vkey_b=self.firm.evidence.vkey)


@pytest.fixture
def deal(tmp_path: Path) -> Deal:
    return Deal(party(tmp_path / "road", "road"), party(tmp_path / "firm", "firm"))


def differing(verdict: Reconciliation) -> tuple[str, int | None, int | None]:
    """The matter of the first difference, and the entries in the provider's and the consumer's log."""
    assert verdict.difference is not None
    assert not verdict.holds
    for language in ("en", "zh"):
        assert verdict.words(language)[0] == verdict.difference.text().of(language)  # type: ignore[arg-type]  # both are languages
    return verdict.difference.matter, verdict.difference.provider.entry, verdict.difference.consumer.entry


def test_honest_logs_agree_with_their_counts_and_the_checkpoints_they_rest_on(deal: Deal) -> None:
    deal.road.append([*deal.at_road(), *deal.used_at_road("j1"), *deal.used_at_road("j2")])
    deal.firm.append([*deal.at_firm(), deal.receipt("countersigned", "j2"), deal.receipt("countersigned", "j1")])  # another order
    verdict = deal.reconciled()
    assert verdict.holds
    assert (verdict.contracts, verdict.steps, verdict.uses, verdict.receipts, verdict.waiting) == (1, 4, 2, 2, ())
    told = " ".join(verdict.words())
    for log in (deal.road, deal.firm):
        assert log.evidence.checkpoint().root_text in told
        assert log.did in told
    assert {one["party"] for one in verdict.as_dict()["logs"]} == {deal.road.did, deal.firm.did}


def test_logs_of_a_national_space_are_reconciled_by_their_own_keys(tmp_path: Path) -> None:
    deal = Deal(*(party(tmp_path / name, name, suite=NATIONAL) for name in ("road", "firm")))
    deal.road.append([*deal.at_road(), *deal.used_at_road("j1")])
    deal.firm.append([*deal.at_firm(), deal.receipt("countersigned", "j1")])
    assert deal.reconciled().holds
    impostor = party(tmp_path / "impostor", "road", claims=deal.road.did, suite=NATIONAL)
    with pytest.raises(Tampered):
        reconcile(impostor.folder, deal.firm.folder)


def test_the_verdict_is_the_same_whichever_log_comes_first(deal: Deal) -> None:
    deal.road.append([*deal.at_road(), *deal.used_at_road("j1")])
    deal.firm.append(deal.at_firm())
    one = reconcile(deal.road.folder, deal.firm.folder)
    other = reconcile(deal.firm.folder, deal.road.folder)
    assert one.difference == other.difference
    assert differing(one) == ("receipt", 9, None)


def test_another_policy_is_the_first_difference(deal: Deal) -> None:
    deal.road.append([*deal.at_road(), *deal.used_at_road("j1")])
    deal.firm.append([one if one[0] != "agreement.signed" else deal.signed(policy_digest=digest("cheaper")) for one in deal.at_firm()])
    assert differing(deal.reconciled()) == ("agreement, policy_digest", 4, 3)
    assert digest("cheaper") in deal.reconciled().words()[0]


def test_a_contract_that_only_its_provider_holds_is_a_difference(deal: Deal) -> None:
    deal.road.append(deal.at_road())
    assert differing(deal.reconciled()) == ("agreement", 4, None)


def test_a_contract_that_only_its_consumer_has_signed_waits_for_the_provider(deal: Deal) -> None:
    deal.road.append(deal.at_road()[:2])
    deal.firm.append(deal.at_firm()[:4])
    verdict = deal.reconciled()
    assert verdict.holds
    assert {one.waits_for for one in verdict.waiting} == {"road/log"}
    assert any("concluded" in one.why.en for one in verdict.waiting)


def test_a_provider_that_drops_a_concluded_contract_is_found(deal: Deal) -> None:
    deal.road.append([one for one in deal.at_road() if one[0] != "agreement.signed"])
    deal.firm.append(deal.at_firm())
    assert differing(deal.reconciled()) == ("agreement", None, 3)


def test_a_step_with_another_message_is_a_difference(deal: Deal) -> None:
    deal.road.append(deal.at_road())
    changed = deal.step("agreed", own="f1", peer="r1", message=digest("another text"))
    deal.firm.append([changed if one[0] == "negotiation.agreed" else one for one in deal.at_firm()])
    assert differing(deal.reconciled()) == ("negotiation", 2, 2)


def test_a_message_under_way_waits_for_its_receiver(deal: Deal) -> None:
    deal.road.append(deal.at_road())
    deal.firm.append(deal.at_firm()[:-1])
    verdict = deal.reconciled()
    assert verdict.holds
    assert [(one.waits_for, one.entry) for one in verdict.waiting] == [("firm/log", 5)]


def test_a_message_that_its_own_sender_does_not_have_is_a_difference(deal: Deal) -> None:
    deal.road.append(deal.at_road()[:-1])
    deal.firm.append(deal.at_firm())
    assert differing(deal.reconciled()) == ("negotiation", None, 5)


def test_a_receipt_that_is_not_countersigned_waits_for_the_consumer(deal: Deal) -> None:
    deal.road.append([*deal.at_road(), deal.metered("j1"), deal.ended("j1"), deal.receipt("issued", "j1")])
    deal.firm.append(deal.at_firm())
    verdict = deal.reconciled()
    assert verdict.holds
    assert [(one.waits_for, one.entry) for one in verdict.waiting] == [("firm/log", 8)]
    assert "firm/log" in verdict.words("zh")[1]


def test_a_countersignature_that_the_provider_has_not_taken_waits_for_the_provider(deal: Deal) -> None:
    deal.road.append([*deal.at_road(), deal.metered("j1"), deal.ended("j1"), deal.receipt("issued", "j1")])
    deal.firm.append([*deal.at_firm(), deal.receipt("countersigned", "j1")])
    assert [one.waits_for for one in deal.reconciled().waiting] == ["road/log"]
    assert deal.reconciled().holds


def test_a_use_whose_job_has_not_ended_waits_for_the_provider(deal: Deal) -> None:
    deal.road.append([*deal.at_road(), deal.metered("j1")])
    deal.firm.append(deal.at_firm())
    assert [(one.waits_for, one.entry) for one in deal.reconciled().waiting] == [("road/log", 6)]


@pytest.mark.parametrize(
    ("road", "firm", "expected"),
    [
        (["metered", "ended", "issued", "countersigned"], [], ("receipt", 9, None)),
        (["metered", "ended"], ["countersigned"], ("receipt", None, 6)),
        (["metered", "ended"], [], ("use", 6, None)),
        (["ended", "issued", "countersigned"], ["countersigned"], ("use", 7, None)),
        (["metered", "metered", "ended", "issued", "countersigned"], ["countersigned"], ("use", 7, None)),
        (["metered", "ended", "issued", "issued", "countersigned"], ["countersigned"], ("receipt", 9, None)),
        (["metered", "ended", "issued", "countersigned"], ["countersigned", "countersigned"], ("receipt", None, 7)),
        (["metered", "ended", "countersigned"], ["countersigned"], ("receipt", None, 6)),
    ],
)
def test_what_is_dropped_from_or_doubled_in_one_log_is_the_first_difference(
    deal: Deal, road: list[str], firm: list[str], expected: tuple[str, int | None, int | None]
) -> None:
    acts = {"metered": deal.metered("j1"), "ended": deal.ended("j1")}
    acts |= {kind: deal.receipt(kind, "j1") for kind in ("issued", "countersigned")}
    deal.road.append([*deal.at_road(), *(acts[kind] for kind in road)])
    deal.firm.append([*deal.at_firm(), *(acts[kind] for kind in firm)])
    assert differing(deal.reconciled()) == expected


def test_another_receipt_for_the_same_use_is_a_difference(deal: Deal) -> None:
    deal.road.append([*deal.at_road(), *deal.used_at_road("j1")])
    deal.firm.append([*deal.at_firm(), deal.receipt("countersigned", "j1", receipt_digest=digest("another"))])
    assert differing(deal.reconciled()) == ("receipt", 9, None)


def test_an_entry_that_gives_a_receipt_other_words_is_a_difference(deal: Deal) -> None:
    deal.road.append([*deal.at_road(), *deal.used_at_road("j1")])
    deal.firm.append([*deal.at_firm(), deal.receipt("countersigned", "j1", uses=2)])
    assert differing(deal.reconciled()) == ("receipt, uses", 8, 6)


def test_a_disputed_receipt_is_a_difference_that_names_the_field(deal: Deal) -> None:
    kind, body = deal.receipt("issued", "j1")
    alert = ("alert.raised", {**body, "code": "receipt.disputed", "field": "uses"})
    deal.road.append([*deal.at_road(), deal.metered("j1"), deal.ended("j1"), (kind, body), alert])
    deal.firm.append([*deal.at_firm(), alert])
    verdict = deal.reconciled()
    assert differing(verdict) == ("receipt", 9, 6)
    assert "field uses" in verdict.words()[0]


def test_a_receipt_that_the_provider_sent_without_recording_it_is_a_difference(deal: Deal) -> None:
    deal.road.append(deal.at_road())
    deal.firm.append([*deal.at_firm(), ("alert.raised", {**deal.receipt("issued", "j1")[1], "code": "receipt.disputed", "field": "job"})])
    assert differing(deal.reconciled()) == ("receipt", None, 6)


def test_only_what_two_parties_have_in_common_is_compared(deal: Deal, tmp_path: Path) -> None:
    third = Deal(party(tmp_path / "third", "third"), deal.firm, "a2")
    deal.road.append([*deal.at_road(), *deal.used_at_road("j1")])
    deal.firm.append([*deal.at_firm(), third.signed(), third.receipt("countersigned", "j9"), deal.receipt("countersigned", "j1")])
    assert deal.reconciled().holds
    with pytest.raises(NotFound) as caught:
        reconcile(deal.road.folder, third.road.folder)
    assert caught.value.code == "evidence.no-common-contract"


def test_two_copies_of_one_partys_log_are_no_two_logs(deal: Deal) -> None:
    with pytest.raises(Invalid) as caught:
        reconcile(deal.road.folder, deal.road.folder)
    assert caught.value.code == "evidence.same-party"


def test_a_log_that_claims_to_be_another_partys_is_tampered_with(deal: Deal, tmp_path: Path) -> None:
    deal.firm.append(deal.at_firm())
    impostor = party(tmp_path / "impostor", "road", claims=deal.road.did)
    with pytest.raises(Tampered) as caught:
        reconcile(impostor.folder, deal.firm.folder)
    assert caught.value.code == "evidence.owner"


def test_a_changed_byte_in_either_log_is_found_before_anything_is_compared(deal: Deal) -> None:
    deal.road.append(deal.at_road())
    deal.firm.append(deal.at_firm())
    bundle = next(path for path in (deal.firm.folder / "tile" / "entries").rglob("*") if path.is_file())
    good = bundle.read_bytes()
    bundle.write_bytes(good.replace(b"negotiation.agreed", b"negotiation.agreee"))
    with pytest.raises(Tampered) as caught:
        deal.reconciled()
    assert caught.value.code == "evidence.tampered"
    bundle.write_bytes(good)
    assert deal.reconciled().holds


def test_bodies_of_unexpected_shape_do_no_harm(deal: Deal) -> None:
    odd: list[Act] = [
        ("agreement.signed", {"agreement": ["a1"], "provider": {}, "consumer": 7}),
        ("receipt.countersigned", {"agreement": "a1", "receipt_digest": None, "job": {"a": 1}}),
        ("negotiation.agreed", {"negotiation": None}),
    ]
    deal.road.append(deal.at_road())
    deal.firm.append([*odd, *deal.at_firm()])
    assert differing(deal.reconciled())[0] == "receipt"


def test_the_offline_checker_reconciles_in_words_or_json_and_leaves_with_one_for_a_difference(
    deal: Deal, capsys: pytest.CaptureFixture[str]
) -> None:
    deal.road.append([*deal.at_road(), *deal.used_at_road("j1")])
    deal.firm.append(deal.at_firm())
    words = ["reconcile", str(deal.road.folder.parent), str(deal.firm.folder)]
    assert main([*words, "--lang", "zh"]) == 1
    assert capsys.readouterr().out.startswith("不一致（receipt）")
    deal.firm.append([deal.receipt("countersigned", "j1")])
    assert main([*words, "--json", "--vkey-b", deal.firm.evidence.vkey]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["receipts"], told["difference"]) == (True, 1, None)
    assert [one["key_source"] for one in told["logs"]] == ["with-log", "trusted"]
    assert main([*words, "--vkey-a", deal.firm.evidence.vkey]) == 1
    assert capsys.readouterr().out.startswith("Tampered: ")


def test_reconciling_needs_the_standard_library_and_cryptography_alone() -> None:
    script = "import sys, chengshu.evidence.__main__; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert [name for name in ("sqlalchemy", "rfc8785", "pydantic", "httpx", "typer", "pyarrow") if f"'{name}'" in loaded] == []
