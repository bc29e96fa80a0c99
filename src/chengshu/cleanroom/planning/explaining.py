"""A plan as it is shown before anything runs: JSON-ready, the same for a person's terminal, a program and a remote client."""

from collections.abc import Iterable
from typing import Any

from chengshu.cleanroom.planning.choosing import Candidate, Choice, OwnersTerms
from chengshu.cleanroom.planning.model import Action, Cost, Dropped, Plan
from chengshu.cleanroom.vetting.rules import RULE_NAMES

Document = dict[str, Any]


def explained(choice: Choice) -> Document:
    """Return the cheapest plan with its rules, terms, budgets and leakage statement, the other plans, and those that were dropped."""
    chosen, *others = choice.candidates
    return {
        **described(chosen),
        "other_plans": [_brief(one.plan) for one in others],
        "dropped_plans": [_dropped(one) for one in choice.dropped],
    }


def described(candidate: Candidate) -> Document:
    """Return one plan with its rules, its terms by owner with budgets before and after, and its leakage statement."""
    return {
        "plan": {**_brief(candidate.plan), "engine": candidate.engine, "steps": [_step(one) for one in candidate.plan.actions]},
        "rules_passed": list(RULE_NAMES),
        "terms": [_terms(one) for one in candidate.terms],
        "leakage": candidate.job.leakage,
        "statement": candidate.statement,
    }


def _brief(plan: Plan) -> Document:
    return {"placement": plan.placement, "place": plan.place, "cost": _cost(plan.cost)}


def _cost(cost: Cost) -> Document:
    return {"products_moved": cost.products_moved, "messages": cost.messages}


def _step(action: Action) -> Document:
    return {
        "node": action.node,
        "does": action.step.value,
        "reads": {one.product: list(one.columns) for one in action.reads},
        "seen_by": list(action.seen_by),
        "learns": [f"{part}: {what}" for part, what in _learned(action)],
    }


def _learned(action: Action) -> Iterable[tuple[str, str]]:
    return dict.fromkeys((leak.part.value, leak.what.value) for leak in action.leaks)


def _terms(terms: OwnersTerms) -> Document:
    return {
        "product": terms.part.alias,
        "holder": terms.part.provider,
        "holder_name": terms.holder_name,
        "agreement": terms.part.agreement,
        "chosen_among": terms.choices,
        "rules_passed": list(terms.passed),
        "minimum_group": terms.part.smallest_group,
        "rows": [one.as_document() for one in terms.part.schema.rows],
        "budgets": [one.shown() for one in terms.budgets],
    }


def _dropped(dropped: Dropped) -> Document:
    return {
        "placement": dropped.placement,
        "place": dropped.place,
        "owner": dropped.owner,
        "product": dropped.product,
        "rule": dropped.refusal.rule,
        "message": dropped.refusal.message,
    }
