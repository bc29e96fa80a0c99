"""What a holder says to a job that a room hands on, held against what can be said: a party may say anything."""

from collections.abc import Mapping
from typing import Any

from chengshu.cleanroom.cell.words import STOPPED
from chengshu.cleanroom.reading import kind, mapping, text, wrong
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

_RULE = r"[a-z][a-z0-9-]{0,63}"
_LONGEST = 4000


def checked(answer: Mapping[str, Any], *, of: str, may_repeat: bool) -> dict[str, Any]:
    """Return a holder's answer about the product ``of`` if it is one: a token, a refusal with its reason, or a repetition where one may be.

    Raises Invalid ``peer.answer``, which names the product and what is wrong with the answer, and quotes nothing of it.
    """
    try:
        if "refused" in answer:
            check_refusal(answer["refused"])
        elif not (may_repeat and answer.get("repeated") is True):
            text(answer.get("token"), "token", expected="a token, or a refusal")
    except Invalid as error:
        raise Invalid("peer.answer", f"{of}, the answer of its holder: {error.message}", hint=_THEIRS) from error
    return dict(answer)


def check_refusal(document: object) -> None:
    """Raise Invalid unless a document is a refusal of a holder's, whose texts are not too long."""
    refusal = mapping(document, "refused", required=("rule", "message", "would_pass", "facts"))
    if text(refusal["rule"], "refused.rule", pattern=_RULE, expected="the name of a rule") in STOPPED:
        raise wrong(
            "refused.rule", expected="a rule of a holder's", got="one that only the room's own cell can tell"
        )  # it has an entry of its own
    passes = mapping(refusal["would_pass"], "refused.would_pass", required=("en", "zh"))
    said = {"message": refusal["message"], "would_pass.en": passes["en"], "would_pass.zh": passes["zh"]}
    for name, value in said.items():
        if len(text(value, f"refused.{name}")) > _LONGEST:
            raise wrong(f"refused.{name}", expected=f"at most {_LONGEST} characters", got="more")
    facts = refusal["facts"]
    if not isinstance(facts, Mapping) or not all(isinstance(value, str | int) for value in facts.values()):
        raise wrong("refused.facts", expected="an object of texts and whole numbers", got=kind(facts))


_THEIRS = Text("Ask the operator of the holder's node; sign a new job then.", "请联系持有方节点的运营人员，然后签署新的作业。")
