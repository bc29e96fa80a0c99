"""The policy file, read exactly, and when a checkpoint counts by it."""

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from chengshu.evidence.checkpoint import VerifierKey, sign_checkpoint
from chengshu.evidence.witnessing.cosignature import Cosigner, Ed25519Cosigner, MlDsaCosigner, cosign
from chengshu.evidence.witnessing.quorum import judge, parse_policy
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.errors import Invalid, Tampered


def signer(number: int) -> MemorySigner:
    return MemorySigner(Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)))


LOG = VerifierKey("road/log", signer(9).public_key)
W: dict[str, Cosigner] = {name: Ed25519Cosigner(f"{name}/witness", signer(number)) for number, name in enumerate("abcdef", 10)}
W["q"] = MlDsaCosigner("q/witness", mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(range(32))))
HEAD = "".join(f"witness {name} {one.key}\n" for name, one in W.items())
TWO_LEVELS = f"# ours\n log {LOG}\thttps://road.example/log\n\n{HEAD}group X 2 a b c\n\tgroup Y any d e q\ngroup Z all X Y\nquorum Z\n"
THREE = f"{HEAD}group three 2 a b c\nquorum three\n"
CHECKPOINT = sign_checkpoint(signer(9), origin="road/log", size=7, root=bytes(32))


def note(*names: str) -> bytes:
    return CHECKPOINT.note + "".join(cosign(W[name], CHECKPOINT, timestamp=100) + "\n" for name in names).encode()


def test_the_specifications_structure_of_two_levels_is_read() -> None:
    policy = parse_policy(TWO_LEVELS.encode())
    assert [(log.key, log.url) for log in policy.logs] == [(LOG, "https://road.example/log")]
    assert [one.name for one in policy.witnesses] == [*"abcdef", "q"]
    assert [(one.name, one.needed, one.members) for one in policy.groups] == [
        ("X", 2, ("a", "b", "c")),
        ("Y", 1, ("d", "e", "q")),
        ("Z", 2, ("X", "Y")),
    ]


@given(st.frozensets(st.sampled_from(sorted(W))))
def test_a_quorum_of_two_levels_is_met_exactly_when_both_levels_are(cosigned: frozenset[str]) -> None:
    expected = len(cosigned & {"a", "b", "c"}) >= 2 and len(cosigned & {"d", "e", "q"}) >= 1
    assert parse_policy(TWO_LEVELS.encode()).is_met_by(cosigned) == expected


@pytest.mark.parametrize(("quorum", "met"), [("none", True), ("a", True), ("b", False)])
def test_a_quorum_may_be_none_or_one_witness(quorum: str, met: bool) -> None:
    policy = parse_policy(f"{HEAD}quorum {quorum}\n".encode())
    assert judge(note("a"), key=LOG, policy=policy).met == met


BAD = {
    "no quorum": HEAD,
    "two quorums": f"{HEAD}quorum a\nquorum a\n",
    "an unknown quorum": f"{HEAD}quorum z\n",
    "a quorum before its group": f"{HEAD}quorum g\ngroup g any a\n",
    "a member that comes later": f"group g any a\n{HEAD}quorum g\n",
    "a group of itself": f"{HEAD}group g any g\nquorum g\n",
    "none as a member": f"{HEAD}group g any none\nquorum g\n",
    "a witness called none": f"witness none {W['a'].key}\nquorum none\n",
    "a name taken twice": f"{HEAD}group a any b\nquorum a\n",
    "a member of two groups": f"{HEAD}group g any a\ngroup h any a b\nquorum h\n",
    "a member twice": f"{HEAD}group g 2 a a\nquorum g\n",
    "more than there are": f"{HEAD}group g 3 a b\nquorum g\n",
    "fewer than one": f"{HEAD}group g 0 a b\nquorum g\n",
    "a number with a zero in front": f"{HEAD}group g 01 a b\nquorum g\n",
    "a group of nobody": f"{HEAD}group g any\nquorum g\n",
    "the same key under another name": f"{HEAD}witness a2 {W['a'].key}\nquorum a\n",
    "the log's key as a witness": f"log {LOG}\nwitness l {Ed25519Cosigner('l', signer(9)).key}\nquorum l\n",
    "the same log twice": f"log {LOG}\nlog {LOG}\nquorum none\n",
    "a log's key that is a witness's": f"log {W['a'].key}\nquorum none\n",
    "a witness's key that is a log's": f"witness a {LOG}\nquorum a\n",
    "an unknown word": f"{HEAD}threshold 2\nquorum a\n",
    "a word too many": f"{HEAD}quorum a b\n",
    "a carriage return": f"{HEAD}quorum a\r\n",
    "a form feed": f"{HEAD}\x0cquorum a\n",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_the_format_does_not_allow_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_policy(text.encode())
    assert caught.value.code == "evidence.policy"


def test_a_refusal_names_the_line() -> None:
    with pytest.raises(Invalid) as caught:
        parse_policy(b"# ours\n\nquorum x\n")
    assert caught.value.facts == {"line": 3}


def test_a_name_that_is_not_ascii_is_as_opaque_as_the_format_says() -> None:
    policy = parse_policy(b"witness \xe8\xa7\x81\xff " + str(W["a"].key).encode() + b"\nquorum \xe8\xa7\x81\xff\n")
    assert policy.is_met_by(frozenset({policy.witnesses[0].name}))


def test_a_verdict_says_who_cosigned_and_that_the_quorum_is_met_in_both_languages() -> None:
    verdict = judge(note("a", "c"), key=LOG, policy=parse_policy(THREE.encode()))
    assert verdict.met
    assert verdict.words() == ["The checkpoint of size 7 is cosigned by 2 of 7: a, c; quorum met."]
    assert verdict.words("zh") == ["规模 7 的检查点：7 个见证方中 2 个已联署：a、c；已达法定数。"]


def test_a_verdict_says_what_is_missing() -> None:
    verdict = judge(note("a"), key=LOG, policy=parse_policy(THREE.encode()))
    assert not verdict.met
    (words,) = verdict.words()
    assert words.startswith(
        "The checkpoint of size 7 does not count yet: cosigned by 1 of 7: a; the quorum is 2 of 3: a, b, c; missing: b, c"
    )
    assert "尚不作数" in verdict.words("zh")[0]


def test_an_ml_dsa_cosignature_counts_as_any_other() -> None:
    policy = parse_policy(f"{HEAD}quorum q\n".encode())
    assert judge(note("q"), key=LOG, policy=policy).met
    assert not judge(note("a"), key=LOG, policy=policy).met


def test_a_cosignature_by_a_witness_that_the_policy_does_not_name_counts_nothing() -> None:
    policy = parse_policy(f"witness a {W['a'].key}\nquorum a\n".encode())
    verdict = judge(note("b", "c"), key=LOG, policy=policy)
    assert (verdict.met, verdict.names(verdict.standings[0].standing)) == (False, ["a"])


def test_two_cosignatures_by_one_witness_are_one() -> None:
    assert not judge(note("a", "a"), key=LOG, policy=parse_policy(THREE.encode())).met


def test_a_cosignature_that_does_not_hold_is_no_missing_one_but_tampering() -> None:
    other = sign_checkpoint(signer(9), origin="road/log", size=8, root=bytes(32))
    copied = CHECKPOINT.note + (cosign(W["a"], other, timestamp=100) + "\n").encode()
    with pytest.raises(Tampered) as caught:
        judge(copied, key=LOG, policy=parse_policy(THREE.encode()))
    assert caught.value.code == "evidence.cosignature"


def test_a_log_that_the_policy_does_not_list_is_refused() -> None:
    policy = parse_policy(f"log {VerifierKey('road/log', signer(8).public_key)}\nquorum none\n".encode())
    with pytest.raises(Invalid) as caught:
        judge(note(), key=LOG, policy=policy)
    assert caught.value.code == "evidence.policy-log"
