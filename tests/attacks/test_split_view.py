"""Attacks by the owner of a log: another history for another reader, entries taken away, replayed, cosigned by nobody or somebody else."""

import base64
import shutil
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chengshu.evidence.checkpoint import VerifierKey, parse_vkey
from chengshu.evidence.service import Evidence
from chengshu.evidence.storage.files import CHECKPOINT, FileTiles
from chengshu.evidence.tiles import TileName
from chengshu.evidence.verify import LogVerdict, verify_log
from chengshu.evidence.witnessing.cosignature import Ed25519Cosigner, cosign, parse_line
from chengshu.evidence.witnessing.counted import Counted, count
from chengshu.evidence.witnessing.mirror import WITNESSED, LocalTiles, mirror
from chengshu.evidence.witnessing.quorum import QuorumPolicy, read_policy
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import ChengshuError, Invalid, Tampered, Unavailable
from chengshu.kernel.text import Text
from chengshu.witness.cosignatures import Cosignatures
from chengshu.witness.gossip import Agreement, Gossip
from chengshu.witness.model import NO_PROOF, SPLIT_VIEW, Answer, Outcome, Submission
from chengshu.witness.ports import KnownLog, Reply
from chengshu.witness.service import Witness
from databases import database_at

pytestmark = pytest.mark.on_sqlite("whoever tells two histories copies a log's folder with the database in it")

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ORIGIN = "liar/log"
STATUS = {Outcome.COSIGNED: 200, Outcome.OTHER_SIZE: 409, Outcome.OTHER_ROOT: 409, Outcome.NOT_CONSISTENT: 422, Outcome.UNKNOWN_LOG: 404}
STATUS |= {Outcome.NOT_SIGNED: 403, Outcome.MALFORMED: 400}


def key(number: int) -> MemorySigner:
    return MemorySigner(Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)))


LOG_KEY = key(1)


class History:
    """One log as its owner tells it; two of them under one key are the attack."""

    def __init__(self, folder: Path, *, signer: MemorySigner = LOG_KEY, word: str = "true") -> None:
        folder.mkdir(parents=True)
        self.database = database_at(folder / "node.sqlite")
        metadata.create_all(self.database.engine)
        self.folder = folder / "log"
        self.evidence = Evidence(self.database, signer, ORIGIN, self.folder, lambda: NOW)
        self.word = word

    def grow(self, count: int) -> "History":
        """Append entries and publish."""
        with self.database.write() as tx:
            for number in range(count):
                self.evidence.append(tx, "token.issued", f"{self.word}-{number}", {"n": number})
        self.evidence.publish()
        return self

    def retold(self, word: str) -> "History":
        """Go on from here in other words: the same entries so far, other ones from now on."""
        copy = History(self.folder.parent.parent / word, word=word)
        shutil.rmtree(self.folder.parent.parent / word)
        shutil.copytree(self.folder.parent, copy.folder.parent)
        return copy

    def submission(self, old: int) -> bytes:
        """What this history's owner sends to a witness that holds ``old`` entries."""
        new = self.evidence.checkpoint()
        proof = self.evidence.consistency(old, new.size).path if 0 < old < new.size else ()
        return Submission(old, proof, new.note).body


class Observer:
    """A witness with a log and a database of its own."""

    def __init__(self, folder: Path, number: int, log_key: MemorySigner = LOG_KEY) -> None:
        folder.mkdir()
        self.database = database_at(folder / "node.sqlite")
        metadata.create_all(self.database.engine)
        self.evidence = Evidence(self.database, key(number + 100), f"w{number}/log", folder / "log", lambda: NOW)
        self.cosigner = Ed25519Cosigner(f"w{number}/witness", key(number))
        known = VerifierKey(ORIGIN, log_key.public_key)
        self.witness = Witness(
            self.database,
            cosigners=lambda: (self.cosigner,),
            key_of=lambda origin: known if origin == ORIGIN else None,
            evidence=self.evidence,
            clock=lambda: NOW,
        )

    def alarms(self) -> list[dict[str, object]]:
        """The bodies of the alerts in this witness's log."""
        return [dict(one.body) for one in self.evidence.entries(0, self.evidence.size()) if one.kind == "alert.raised"]


@dataclass
class Street:
    """The witnesses by URL, without a network between."""

    observers: dict[str, Observer] = field(default_factory=dict)

    def submit(self, url: str, body: bytes) -> Reply:
        answer: Answer = self.observers[url].witness.add_checkpoint(body)
        return Reply(STATUS[answer.outcome], answer.text)

    def last(self, url: str, origin: str) -> bytes | None:
        return self.observers[url].witness.last(origin)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "true").grow(5)


@pytest.fixture
def one(tmp_path: Path) -> Observer:
    return Observer(tmp_path / "w1", 11)


@pytest.fixture
def two(tmp_path: Path) -> Observer:
    return Observer(tmp_path / "w2", 12)


def cosigned(observer: Observer, history: History, old: int) -> Answer:
    answer = observer.witness.add_checkpoint(history.submission(old))
    assert answer.outcome is Outcome.COSIGNED
    return answer


def gossip(asking: Observer, other: Observer, shown: History) -> Gossip:
    return Gossip(
        asking.database,
        sources=lambda: {"other": "other"},
        logs=lambda: [KnownLog(VerifierKey(ORIGIN, LOG_KEY.public_key), "liar")],
        held=asking.witness.last,
        witnesses=Street({"other": other}),
        tiles=lambda _log: LocalTiles(FileTiles(shown.folder)),
        evidence=asking.evidence,
        clock=lambda: NOW,
    )


# --- two histories for two witnesses


def test_two_witnesses_shown_two_histories_of_one_size_find_out_by_comparing(history: History, one: Observer, two: Observer) -> None:
    other = history.retold("false").grow(3)
    history.grow(3)
    cosigned(one, history, 0)
    cosigned(two, other, 0)
    with pytest.raises(Tampered) as caught:
        gossip(one, two, history).compare()
    assert caught.value.code == "evidence.split-view"
    assert ORIGIN in caught.value.message
    (view,) = one.witness.views()
    assert {view.held, view.shown} == {one.witness.last(ORIGIN), two.witness.last(ORIGIN)}
    (alarm,) = one.alarms()
    assert (alarm["code"], alarm["origin"], alarm["sizes"]) == (SPLIT_VIEW, ORIGIN, [8, 8])


@pytest.mark.parametrize("more", [1, 3, 300])
def test_two_histories_of_different_sizes_are_found_because_the_log_cannot_join_them(
    history: History, one: Observer, two: Observer, more: int
) -> None:
    other = history.retold("false").grow(2)
    history.grow(2 + more)
    cosigned(one, history, 0)
    cosigned(two, other, 0)
    for shown in (history, other.grow(2 * more)):
        with pytest.raises(Tampered) as caught:
            gossip(one, two, shown).compare()
        assert caught.value.code == "evidence.split-view"
    assert [view.code for view in one.witness.views()] == [SPLIT_VIEW] * len(one.alarms())


def test_comparing_again_sounds_no_second_alarm(history: History, one: Observer, two: Observer) -> None:
    other = history.retold("false").grow(3)
    cosigned(one, history.grow(3), 0)
    cosigned(two, other, 0)
    for _ in range(3):
        with pytest.raises(Tampered):
            gossip(one, two, history).compare()
    assert (len(one.witness.views()), len(one.alarms())) == (1, 1)


def test_witnesses_of_one_history_at_different_sizes_find_nothing(history: History, one: Observer, two: Observer) -> None:
    cosigned(one, history, 0)
    cosigned(two, history.grow(300), 0)
    (found,) = gossip(one, two, history.grow(1)).compare()
    assert found.agreement is Agreement.ONE_HISTORY
    assert {view.holder: view.checkpoint.size for view in found.views} == {"this node": 5, "other": 305, "the log itself": 306}
    assert one.alarms() == []


def test_a_log_that_shows_less_than_a_witness_holds_has_taken_entries_away(history: History, one: Observer, two: Observer) -> None:
    earlier = history.retold("earlier")
    cosigned(two, history.grow(4), 0)
    with pytest.raises(Tampered) as caught:
        gossip(one, two, earlier).compare()
    assert caught.value.code == "evidence.rollback"
    assert len(one.alarms()) == 1


# --- a history rewritten before a witness


@pytest.mark.parametrize(("before", "after"), [(5, 4), (5, 300), (300, 1), (7, 1)])
def test_a_rewritten_history_under_the_same_key_is_refused_and_kept_as_proof(
    tmp_path: Path, one: Observer, before: int, after: int
) -> None:
    history = History(tmp_path / "first").grow(before)
    rewritten = History(tmp_path / "second", word="rewritten").grow(before + after)
    cosigned(one, history, 0)
    answer = one.witness.add_checkpoint(rewritten.submission(before))
    assert answer.outcome is Outcome.NOT_CONSISTENT
    (view,) = one.witness.views()
    assert view.code == SPLIT_VIEW
    assert view.shown == rewritten.evidence.checkpoint().note
    assert view.held == one.witness.last(ORIGIN)
    assert [alarm["sizes"] for alarm in one.alarms()] == [[before, before + after]]


def test_a_rewritten_history_whose_proof_shows_no_old_root_is_kept_under_its_own_name(tmp_path: Path, one: Observer) -> None:
    history = History(tmp_path / "first").grow(8)
    rewritten = History(tmp_path / "second", word="rewritten").grow(11)
    cosigned(one, history, 0)
    assert one.witness.add_checkpoint(rewritten.submission(8)).outcome is Outcome.NOT_CONSISTENT
    assert [view.code for view in one.witness.views()] == [NO_PROOF]


def test_another_root_at_the_same_size_is_refused_whatever_old_size_is_given(tmp_path: Path, one: Observer) -> None:
    history = History(tmp_path / "first").grow(5)
    rewritten = History(tmp_path / "second", word="rewritten").grow(5)
    cosigned(one, history, 0)
    assert one.witness.add_checkpoint(rewritten.submission(5)) == Answer(Outcome.OTHER_ROOT, "5\n")
    assert one.witness.add_checkpoint(rewritten.submission(0)) == Answer(Outcome.OTHER_SIZE, "5\n")
    assert [(view.code, view.shown) for view in one.witness.views()] == [(SPLIT_VIEW, rewritten.evidence.checkpoint().note)]


def test_a_stranger_with_a_false_proof_for_a_true_checkpoint_accuses_nobody(history: History, one: Observer) -> None:
    cosigned(one, history, 0)
    true = history.grow(4).submission(5)
    head, _, note = true.partition(b"\n\n")
    lines = head.split(b"\n")
    false = b"\n".join([lines[0], b"A" * 43 + b"=", *lines[2:]]) + b"\n\n" + note
    assert one.witness.add_checkpoint(false).outcome is Outcome.NOT_CONSISTENT
    assert {alarm["code"] for alarm in one.alarms()} == {NO_PROOF}
    assert one.witness.add_checkpoint(true).outcome is Outcome.COSIGNED


def test_nobody_fills_a_witness_with_refused_checkpoints(history: History, one: Observer) -> None:
    cosigned(one, history, 0)
    for _ in range(40):
        history.grow(1)
        one.witness.add_checkpoint(history.submission(5).replace(b"old 5\n", b"old 5\n" + b"A" * 43 + b"=\n"))
    assert (len(one.witness.views()), len(one.alarms())) == (32, 32)


def test_a_history_signed_anew_with_another_key_is_nobodys(tmp_path: Path, history: History, one: Observer) -> None:
    cosigned(one, history, 0)
    anew = History(tmp_path / "anew", signer=key(2)).grow(9)
    assert one.witness.add_checkpoint(anew.submission(5)).outcome is Outcome.NOT_SIGNED
    assert one.witness.views() == []


def test_an_older_checkpoint_replayed_takes_nothing_back(history: History, one: Observer) -> None:
    old = history.submission(0)
    cosigned(one, history, 0)
    cosigned(one, history.grow(3), 5)
    assert one.witness.add_checkpoint(old) == Answer(Outcome.OTHER_SIZE, "8\n")
    held = one.witness.last(ORIGIN)
    assert held is not None
    assert held.split(b"\n")[1] == b"8"


def test_of_two_submissions_at_once_none_takes_back_the_other(history: History, one: Observer) -> None:
    small = history.submission(0)
    large = history.grow(3).submission(0)
    answers: list[Answer] = []
    for _ in range(10):
        start = threading.Barrier(4)

        def send(body: bytes, start: threading.Barrier = start) -> None:
            start.wait()
            answers.append(one.witness.add_checkpoint(body))

        threads = [threading.Thread(target=partial(send, body)) for body in (small, large, small, large)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    first = answers[0] if answers[0].outcome is Outcome.COSIGNED else next(one for one in answers if one.outcome is Outcome.COSIGNED)
    assert sum(one.outcome is Outcome.COSIGNED for one in answers) == 1
    held = one.witness.held()[0]
    assert held.note.endswith(first.text.encode())
    assert {one.text for one in answers if one.outcome is Outcome.OTHER_SIZE} == {f"{held.size}\n"}


# --- what the log's own operator and its readers notice


def counted(folder: Path, policy: Path, log: LogVerdict) -> Counted:
    """Whether a log that was found intact counts by a policy."""
    return count(folder, policy, checkpoint=log.checkpoint, vkey=log.vkey)


def policy_file(folder: Path, history: History, *observers: Observer, needed: int) -> Path:
    """A policy with these witnesses, under names w1, w2 …"""
    names = [f"w{number}" for number, _ in enumerate(observers, 1)]
    lines = [f"log {history.evidence.vkey}"]
    lines += [f"witness {name} {observer.cosigner.key} http://{name}" for name, observer in zip(names, observers, strict=True)]
    lines += [f"group all-of-them {needed} {' '.join(names)}", "quorum all-of-them"]
    path = folder / "witness.policy"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def gathering(history: History, policy: QuorumPolicy, *observers: Observer) -> Cosignatures:
    street = Street({f"http://w{number}": observer for number, observer in enumerate(observers, 1)})
    return Cosignatures(
        history.database, log=history.evidence, folder=history.folder, policy=lambda: policy, witnesses=street, clock=lambda: NOW
    )


def test_an_honest_log_gathers_its_quorum_and_stays_a_valid_log(tmp_path: Path, history: History, one: Observer, two: Observer) -> None:
    path = policy_file(tmp_path, history, one, two, needed=2)
    troubles: list[ChengshuError] = []
    status = gathering(history, read_policy(path), one, two).collect(troubles.append)
    assert (troubles, status.verdict.met, status.waited, status.witnessed_size) == ([], True, (), 5)
    verdict = verify_log(history.folder, history.evidence.vkey)
    assert counted(history.folder, path, verdict).met
    assert history.evidence.publish().note == (history.folder / CHECKPOINT).read_bytes() == (history.folder / WITNESSED).read_bytes()


def test_a_log_whose_backup_was_put_back_hears_from_its_witness_that_entries_are_gone(
    tmp_path: Path, history: History, one: Observer
) -> None:
    path = policy_file(tmp_path, history, one, needed=1)
    restored = history.retold("restored")
    gathering(history.grow(4), read_policy(path), one).collect(lambda _error: None)
    troubles: list[ChengshuError] = []
    gathering(restored, read_policy(path), one).collect(troubles.append)
    (error,) = troubles
    assert (error.kind, error.code, error.facts["held"]) == ("Tampered", "evidence.rollback", 9)


@pytest.mark.parametrize("more", [0, 3])
def test_a_log_rewritten_after_its_witness_saw_it_is_told_so_with_both_notes_kept(
    tmp_path: Path, history: History, one: Observer, more: int
) -> None:
    path = policy_file(tmp_path, history, one, needed=1)
    other = history.retold("other").grow(4 + more)
    gathering(history.grow(4), read_policy(path), one).collect(lambda _error: None)
    troubles: list[ChengshuError] = []
    gathering(other, read_policy(path), one).collect(troubles.append)
    (error,) = troubles
    assert (error.kind, error.code) == ("Tampered", "evidence.split-view")
    assert "witness status" in error.hint.en
    bodies = [dict(entry.body) for entry in other.evidence.entries(0, other.evidence.size()) if entry.kind == "alert.raised"]
    assert [body["sizes"] for body in bodies] == [[9 + more, 9]]


def test_a_log_changed_after_it_was_witnessed_is_found_from_its_files_alone(tmp_path: Path, history: History, one: Observer) -> None:
    path = policy_file(tmp_path, history, one, needed=1)
    other = history.retold("other").grow(5)
    gathering(history.grow(4), read_policy(path), one).collect(lambda _error: None)
    shutil.copy(history.folder / WITNESSED, other.folder / WITNESSED)
    with pytest.raises(Tampered) as caught:
        counted(other.folder, path, verify_log(other.folder, other.evidence.vkey))
    assert (caught.value.code, caught.value.facts) == ("evidence.split-view", {"file": WITNESSED, "witnessed": 9, "size": 10})


@pytest.mark.parametrize("how", ["forged", "copied"])
def test_a_forged_or_copied_cosignature_is_named_with_its_witness(tmp_path: Path, history: History, one: Observer, how: str) -> None:
    path = policy_file(tmp_path, history, one, needed=1)
    old = history.evidence.checkpoint()
    new = history.grow(2).evidence.checkpoint()
    made = cosign(one.cosigner if how == "copied" else Ed25519Cosigner(one.cosigner.name, key(77)), old, timestamp=1)
    blob = one.cosigner.key.key_id + parse_line(made).blob
    line = f"— {one.cosigner.name} {base64.b64encode(blob).decode()}\n"
    (history.folder / CHECKPOINT).write_bytes(new.note + line.encode())
    with pytest.raises(Tampered) as caught:
        counted(history.folder, path, verify_log(history.folder, history.evidence.vkey))
    assert caught.value.code == "evidence.cosignature"
    assert caught.value.facts["witness"] == one.cosigner.name


def test_a_cosignature_under_a_witnesss_name_by_another_key_counts_nothing(tmp_path: Path, history: History, one: Observer) -> None:
    path = policy_file(tmp_path, history, one, needed=1)
    new = history.evidence.checkpoint()
    line = cosign(Ed25519Cosigner(one.cosigner.name, key(77)), new, timestamp=1)
    (history.folder / CHECKPOINT).write_bytes(new.note + f"{line}\n".encode())
    assert not counted(history.folder, path, verify_log(history.folder, history.evidence.vkey)).met


def test_a_witness_that_answers_with_anothers_cosignature_is_not_believed(
    tmp_path: Path, history: History, one: Observer, two: Observer
) -> None:
    path = policy_file(tmp_path, history, one, needed=1)
    troubles: list[ChengshuError] = []
    status = gathering(history, read_policy(path), two).collect(troubles.append)
    assert [(error.kind, error.code) for error in troubles] == [("Tampered", "witness.other-key")]
    assert not status.verdict.met
    assert (history.folder / CHECKPOINT).read_bytes() == history.evidence.checkpoint().note


def test_a_log_with_another_key_than_the_policys_does_not_count(tmp_path: Path, history: History, one: Observer) -> None:
    path = policy_file(tmp_path, history, one, needed=1)
    anew = History(tmp_path / "anew", signer=key(2)).grow(5)
    with pytest.raises(Invalid) as caught:
        counted(anew.folder, path, verify_log(anew.folder))
    assert caught.value.code == "evidence.policy-log"


# --- a mirror


def copy(folder: Path, history: History, vkey: str | None = None) -> int:
    return mirror(LocalTiles(FileTiles(history.folder)), folder, vkey=vkey).checkpoint.size


@pytest.mark.parametrize("steps", [[5], [0, 3, 300, 0, 700]])
def test_a_copy_follows_its_log_and_proves_as_much(tmp_path: Path, history: History, steps: list[int]) -> None:
    for step in steps:
        history.grow(step)
        assert copy(tmp_path / "copy", history) == history.evidence.size()
        whole = [path for path in FileTiles(history.folder).paths() if ".p/" not in path]
        assert [path for path in whole if (tmp_path / "copy" / path).read_bytes() != (history.folder / path).read_bytes()] == []


def test_an_interrupted_copy_goes_on_and_fetches_nothing_twice(tmp_path: Path, history: History) -> None:
    history.grow(600)
    read: list[str] = []

    class Breaking(LocalTiles):
        def tile(self, name: TileName) -> tuple[str, bytes]:
            read.append(name.path)
            if len(read) == 2:
                raise Unavailable("test.cut", "expected the connection to hold, got a cut", hint=Text("-", "-"))
            return super().tile(name)

    with pytest.raises(Unavailable):
        mirror(Breaking(FileTiles(history.folder)), tmp_path / "copy")
    assert not (tmp_path / "copy" / CHECKPOINT).exists()
    mirror(Breaking(FileTiles(history.folder)), tmp_path / "copy")
    assert read == ["tile/entries/000", "tile/entries/001", "tile/entries/001", "tile/entries/002.p/93"]


@pytest.mark.parametrize(("code", "grow"), [("evidence.rollback", 0), ("evidence.split-view", 4), ("evidence.split-view", 5)])
def test_a_copy_refuses_a_rollback_and_a_fork_and_keeps_what_was_shown(tmp_path: Path, history: History, code: str, grow: int) -> None:
    other = history.retold("other").grow(grow)
    copy(tmp_path / "copy", history.grow(4))
    before = (tmp_path / "copy" / CHECKPOINT).read_bytes()
    with pytest.raises(Tampered) as caught:
        copy(tmp_path / "copy", other)
    assert caught.value.code == code
    kept = tmp_path / "copy" / str(caught.value.facts["file"])
    assert kept.read_bytes() == other.evidence.checkpoint().note
    assert (tmp_path / "copy" / CHECKPOINT).read_bytes() == before
    assert verify_log(tmp_path / "copy", history.evidence.vkey).checkpoint.size == 9


def test_a_copy_refuses_a_history_signed_anew(tmp_path: Path, history: History) -> None:
    copy(tmp_path / "copy", history)
    anew = History(tmp_path / "anew", signer=key(2)).grow(9)
    with pytest.raises(Tampered) as caught:
        copy(tmp_path / "copy", anew)
    assert caught.value.code == "evidence.key-changed"


def test_a_copy_takes_no_entry_that_the_signed_root_does_not_cover(tmp_path: Path, history: History) -> None:
    copy(tmp_path / "copy", history)
    history.grow(300)
    bundle = history.folder / "tile/entries/000"
    good = bundle.read_bytes()
    bundle.write_bytes(good.replace(b'"n":4', b'"n":5', 1))
    with pytest.raises(Tampered) as caught:
        copy(tmp_path / "copy", history)
    assert caught.value.code == "evidence.remote-differs"
    assert verify_log(tmp_path / "copy", history.evidence.vkey).checkpoint.size == 5
    bundle.write_bytes(good)
    assert copy(tmp_path / "copy", history) == 305


def test_the_key_that_is_given_is_the_one_that_counts(tmp_path: Path, history: History) -> None:
    other = VerifierKey(ORIGIN, key(2).public_key)
    with pytest.raises(Tampered):
        copy(tmp_path / "copy", history, vkey=str(other))
    assert parse_vkey(history.evidence.vkey) != other
