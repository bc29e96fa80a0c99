"""Reads the cases of SolidLab's ODRL test suite from their Turtle and puts each to the node's evaluator.

A rule's assignee becomes a rule on the recipient, its constraints are read as a policy document is; an action that is left out is any
action. The node hangs policies on products and never on lists of targets, so which product a rule is about is decided here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from rdflib import RDF, Graph, Literal, Namespace, URIRef
from rdflib.term import Node

from chengshu.kernel.clock import from_iso
from chengshu.policy.constraint import Condition, Constraint, Fact, Silence, judge
from chengshu.policy.duties import DutyAction, Owed
from chengshu.policy.evaluation import judge_permission, judge_prohibition
from chengshu.policy.findings import of_duty
from chengshu.policy.model import Action, Permission, Prohibition, conditions
from chengshu.policy.odrl import from_odrl
from chengshu.policy.terms import Joint, Operand, Operator

DATA = Path(__file__).parents[2] / "golden" / "odrl"
ODRL, EX = Namespace("http://www.w3.org/ns/odrl/2/"), Namespace("http://example.org/")
SOTW, REPORT = Namespace("https://w3id.org/force/sotw#"), Namespace("https://w3id.org/force/compliance-report#")
ISSUED = URIRef("http://purl.org/dc/terms/issued")
LISTED = {ODRL.isAnyOf, ODRL.isNoneOf, ODRL.isAllOf}


@dataclass(frozen=True)
class Outcome:
    """What a report says: whether the rule is active, of each premise and each constraint whether it is satisfied."""

    rule: str
    is_active: bool
    premises: frozenset[tuple[str, bool]]
    constraints: frozenset[tuple[str, bool]]


def load() -> Graph:
    graph = Graph()
    for name in ("policies", "requests", "sotw", "cases"):
        graph.parse(DATA / f"{name}.ttl", format="turtle")
    return graph


def cases(graph: Graph) -> Iterator[tuple[str, Node]]:
    """Yield every case with its number."""
    for case in graph.subjects(RDF.type, EX.TestCase):
        yield str(graph.value(case, EX.file)).removeprefix("testcase-")[:3], case


class Case:
    """One case: what is expected of it, and what the evaluator finds."""

    def __init__(self, graph: Graph, case: Node) -> None:
        self._graph = graph
        self._policy, self._request, self._world = (graph.value(case, EX[name]) for name in ("policy", "request", "sotw"))
        report = graph.value(graph.value(case, EX.expectedReport), REPORT.ruleReport)
        assert report is not None
        self._report = report

    def expected(self) -> Outcome:
        graph, premises, constraints = self._graph, set(), set()
        waiting = list(graph.objects(self._report, REPORT.premiseReport))
        while waiting:
            node = waiting.pop()
            is_satisfied = graph.value(node, REPORT.satisfactionState) == REPORT.Satisfied
            about = graph.value(node, REPORT.constraint)
            if about is None:
                premises.add((str(graph.value(node, RDF.type)).removeprefix(str(REPORT)), is_satisfied))
            else:
                constraints.add((str(about), is_satisfied))
            waiting += graph.objects(node, REPORT.premiseReport)
        is_active = graph.value(self._report, REPORT.activationState) == REPORT.Active
        return Outcome(str(graph.value(self._report, REPORT.rule)), is_active, frozenset(premises), frozenset(constraints))

    def found(self) -> Outcome:
        """Raises Invalid where the policy says what the node refuses to read."""
        rule = self._rule
        rules = tuple(self._condition(node) for node in self._graph.objects(rule, ODRL.constraint))
        party = self._party(rule)
        judged = [self._judge(action, (*rules, *party)) for action in self._actions(rule)]
        is_about = self._is_about(rule)
        premises = {("TargetReport", is_about)} if self._graph.value(rule, ODRL.target) else set()
        premises |= {("PartyReport", judge(one, self._facts) is True) for one in party}
        premises |= {("ActionReport", any(is_meant for _, is_meant in judged))} if self._stated(rule) else set()
        constraints = {(str(node), judge(self._condition(node), self._facts) is True) for node in self._reported(rule)}
        return Outcome(str(rule), is_about and any(is_active for is_active, _ in judged), frozenset(premises), frozenset(constraints))

    @property
    def is_prohibition(self) -> bool:
        return self._graph.value(self._policy, ODRL.prohibition) is not None

    def _judge(self, action: Action, rules: tuple[Condition, ...]) -> tuple[bool, bool]:
        """Whether the rule with this action is active, and whether it is about the action that is asked for."""
        if self.is_prohibition:
            is_active = judge_prohibition(Prohibition(rules, action), "p", action=self._asked, facts=self._facts).active
        else:
            findings = (*judge_permission(Permission(rules, (), action), action=self._asked, facts=self._facts), *self._duties())
            is_active = all(finding.satisfied for finding in findings)
        return is_active, action.covers(self._asked)

    def _duties(self) -> Iterator[Any]:
        """How the world says that the rule's duties stand: fulfilled, violated (overdue), or nothing is known of them (pending)."""
        at = self._facts[Operand.TIME]
        assert isinstance(at, datetime)
        for duty in self._graph.objects(self._rule, ODRL.duty):
            reports = [one for one in self._graph.objects(self._world, EX.includes) if self._graph.value(one, REPORT.rule) == duty]
            state = self._graph.value(reports[0], REPORT.deonticState) if reports else None
            owed = Owed("permission-1/duty-1", DutyAction.COMPENSATE, 1, at, None)
            if state == REPORT.Violated:
                owed = replace(owed, due_at=at - timedelta(days=1))
            yield of_duty(replace(owed, fulfilled_at=at) if state == REPORT.Fulfilled else owed, at)

    @cached_property
    def _rule(self) -> Node:
        rule = self._graph.value(self._policy, ODRL.permission) or self._graph.value(self._policy, ODRL.prohibition)
        assert rule is not None
        return rule

    @cached_property
    def _asked(self) -> Action:
        stated = self._graph.value(self._request, SOTW.requestedAction) or self._graph.value(self._requested, ODRL.action)
        return Action(str(stated).removeprefix(str(ODRL)))

    @cached_property
    def _requested(self) -> Node | None:
        return self._graph.value(self._request, ODRL.permission)

    @cached_property
    def _facts(self) -> dict[Operand, Fact]:
        parameters = {
            self._graph.value(one, SOTW.describesFeature): one for one in self._graph.objects(self._request, SOTW.requestParameter)
        }
        told = {feature: self._graph.value(one, SOTW.value) for feature, one in parameters.items()}
        time = told.get(SOTW.TemporalData) or self._graph.value(self._world, ISSUED)
        party = self._graph.value(self._request, SOTW.requestingParty) or self._graph.value(self._requested, ODRL.assignee)
        purpose = told.get(SOTW.Purpose)
        return {
            Operand.TIME: from_iso(str(time)),
            Operand.RECIPIENT: frozenset({str(party)}),
            Operand.PURPOSE: frozenset({str(purpose)}) if purpose else Silence.UNSAID,
        }

    def _stated(self, rule: Node) -> list[Node]:
        return list(self._graph.objects(rule, ODRL.action)) or list(self._graph.objects(self._policy, ODRL.action))

    def _actions(self, rule: Node) -> list[Action]:
        stated = [Action(str(one).removeprefix(str(ODRL))) for one in self._stated(rule)]
        return stated or [Action.USE, Action.TRANSFER]  # the two that all others are included in

    def _party(self, rule: Node) -> list[Condition]:
        assignee = self._graph.value(rule, ODRL.assignee)
        if assignee is None:
            return []
        members = self._members(assignee)
        if members is None:
            return [Constraint(Operand.RECIPIENT, Operator.EQ, str(assignee))]
        return [Constraint(Operand.RECIPIENT, Operator.IS_ANY_OF, frozenset(map(str, members)))]

    def _is_about(self, rule: Node) -> bool:
        target = self._graph.value(rule, ODRL.target)
        asked = self._graph.value(self._request, SOTW.requestedTarget) or self._graph.value(self._requested, ODRL.target)
        members = self._members(target) if target else None
        return target is None or target == asked or (members is not None and asked in members)

    def _members(self, collection: Node) -> set[Node | None] | None:
        """Who is in a collection in this world; None for what is no collection."""
        source = self._graph.value(collection, ODRL.source)
        if source is None:
            return None
        memberships = [one for one in self._graph.objects(self._world, EX.includes) if self._graph.value(one, ODRL.partOf) == source]
        return {self._graph.value(one, EX.of) for one in memberships}

    def _reported(self, rule: Node) -> Iterator[Node]:
        """Every constraint of a rule that has a name, those within others too."""
        waiting = list(self._graph.objects(rule, ODRL.constraint))
        while waiting:
            node = waiting.pop()
            if isinstance(node, URIRef):
                yield node
            waiting += [part for joint in Joint for part in self._graph.objects(node, ODRL[joint.value])]

    def _condition(self, node: Node) -> Condition:
        policy = from_odrl({"permission": [{"action": "use", "constraint": [self._document(node)]}]})
        (condition,) = conditions(policy.rules)
        return condition

    def _document(self, node: Node) -> dict[str, Any]:
        for joint in Joint:
            parts = list(self._graph.objects(node, ODRL[joint.value]))
            if parts:
                return {joint.value: [self._document(part) for part in parts]}
        operator = self._graph.value(node, ODRL.operator)
        values = [self._literal(value) for value in self._graph.objects(node, ODRL.rightOperand)]
        right = values if operator in LISTED else values[0]
        left = str(self._graph.value(node, ODRL.leftOperand))
        return {"leftOperand": left, "operator": str(operator).removeprefix(str(ODRL)), "rightOperand": right}

    @staticmethod
    def _literal(value: Node) -> Any:
        return {"@value": str(value), "@type": str(value.datatype)} if isinstance(value, Literal) else str(value)
