"""Connections to a node: in this process by its folder, or over HTTP by its address with the node's client token."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import httpx

from chengshu.cleanroom.asker import Standing
from chengshu.cleanroom.outcome import Outcome, parse_refusal
from chengshu.cleanroom.planning.explaining import described, explained
from chengshu.client.following import Told, follow
from chengshu.client.result import Result, denied, result_of
from chengshu.kernel.connections import silence_of
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Tampered, Unavailable, Unidentified
from chengshu.kernel.outgoing import is_loopback
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.node import Node, open_node

TOKEN = "CHENGSHU_TOKEN"  # noqa: S105  # the name of a variable of the environment
ANSWER_S = 30.0
WAIT_S = 60.0
_KINDS: dict[str, type[ChengshuError]] = {
    kind.__name__: kind for kind in (Invalid, Unidentified, Denied, NotFound, Conflict, Unavailable, Tampered)
}
_QUIET: Told = lambda _standing: None  # noqa: E731  # nobody is told


class Connection(Protocol):
    """What can be asked of a node, wherever it is."""

    def sql(self, sql: str, *, purpose: str, room: str | None = None, timeout_s: float = WAIT_S, told: Told = _QUIET) -> Result:
        """Ask a question over ``party.product`` tables and return the answer; ``told`` hears for whom it waits.

        ``room`` names a clean room where not just any that the owners allow will do. Raises Denied, with the rule in its code, for a
        refusal, and Unavailable for a party that does not answer or a job that has not ended within ``timeout_s`` seconds.
        """
        ...

    def explain(self, sql: str, *, purpose: str, room: str | None = None) -> dict[str, Any]:
        """Return the plan, the rules, the terms with budgets before and after, and the leakage statement; nothing runs or is spent."""
        ...

    def close(self) -> None:
        """Let go of the node."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def opened(place: str | Path, *, token: str | None = None) -> Connection:
    """Return a connection to the node in a folder, or at an address that begins with http:// or https://.

    Raises NotFound where there is no node, and Invalid for an address without a token, or one to which a token would travel unencrypted.
    """
    if isinstance(place, str) and place.startswith(("http://", "https://")):
        return AddressConnection(place, token=token or os.environ.get(TOKEN, ""))
    return FolderConnection(open_node(Path(place)))


class FolderConnection:
    """A node opened in this process; the node need not be served for questions over its own products."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def sql(self, sql: str, *, purpose: str, room: str | None = None, timeout_s: float = WAIT_S, told: Told = _QUIET) -> Result:
        """Ask and wait, as :meth:`Connection.sql`."""
        asked = self._node.queries.ask(sql, purpose=purpose, room=self._party(room))
        if isinstance(asked, Refused):
            raise denied(asked)
        standing = follow(lambda: self._node.asker.standing(asked.job), timeout_s=timeout_s, told=told)
        return result_of(standing, described(asked.candidate))

    def explain(self, sql: str, *, purpose: str, room: str | None = None) -> dict[str, Any]:
        """Explain, as :meth:`Connection.explain`."""
        choice = self._node.queries.plan(sql, purpose=purpose, room=self._party(room))
        if isinstance(choice, Refused):
            raise denied(choice)
        return explained(choice)

    def close(self) -> None:
        """Close the node's lines and its database."""
        self._node.close()

    def _party(self, name: str | None) -> str | None:
        return None if name is None else self._node.identity.find(name).did


class AddressConnection:
    """A served node over HTTP; the token proves to it that its own people ask."""

    def __init__(self, address: str, *, token: str) -> None:
        if not (token.isascii() and token.isprintable()) or not token.strip() or " " in token:
            raise Invalid(
                "client.token",
                f"expected the node's client token with an address, got none or another text (token=…, or {TOKEN} in the environment)",
                hint=Text("The node's operator prints it with 'chengshu node token'.", "请节点运营者运行 chengshu node token 获取。"),
            )
        try:
            url = httpx.URL(address.rstrip("/"))
        except httpx.InvalidURL as error:
            raise _no_address() from error
        if url.scheme == "http" and not is_loopback(url.host):
            raise Invalid(
                "client.unencrypted",
                "expected https:// for a node that is not on this machine, got http://, by which its token could be read",
                hint=Text("Put the node behind TLS.", "请为节点启用 TLS。"),
            )
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=ANSWER_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def sql(self, sql: str, *, purpose: str, room: str | None = None, timeout_s: float = WAIT_S, told: Told = _QUIET) -> Result:
        """Ask and wait, as :meth:`Connection.sql`."""
        asked = self._post("/queries", {"sql": sql, "purpose": purpose, "room": room})
        standing = follow(lambda: self._standing(asked["job"]), timeout_s=timeout_s, told=told)
        return result_of(standing, asked["explained"])

    def explain(self, sql: str, *, purpose: str, room: str | None = None) -> dict[str, Any]:
        """Explain, as :meth:`Connection.explain`."""
        found: dict[str, Any] = self._post("/queries/plan", {"sql": sql, "purpose": purpose, "room": room})["explained"]
        return found

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _standing(self, job: str) -> Standing:
        found = self._post("/queries/standing", {"job": job})
        outcome = None if found["outcome"] is None else Outcome.parse(found["outcome"])
        return Standing(job, found["state"], found["waits_for"], outcome, found["receipt"])

    def _post(self, path: str, message: Mapping[str, Any]) -> dict[str, Any]:
        try:
            response = self._client.post(path, json=dict(message))
            answer = response.json()
        except httpx.HTTPError as error:
            raise Unavailable(
                "client.unreachable",
                f"expected the node at {self._client.base_url} to answer, got {silence_of(error)}",
                hint=Text("Check that it is served there.", "请确认节点正在该地址运行。"),
            ) from error
        except ValueError as error:
            raise _no_node(response) from error
        if not response.is_success:
            raise _told(answer, response)
        if "refused" in answer:
            raise denied(parse_refusal(answer["refused"]))
        found: dict[str, Any] = answer
        return found


def _told(answer: Any, response: httpx.Response) -> ChengshuError:
    """The error that the node told, as one of ours."""
    if not isinstance(answer, dict) or not {"kind", "code", "message", "hint"} <= answer.keys():
        return _no_node(response)
    kind = _KINDS.get(str(answer["kind"]), Unavailable)
    return kind(
        str(answer["code"]), str(answer["message"]), hint=Text(str(answer["hint"]), str(answer["hint"])), facts=answer.get("facts") or {}
    )


def _no_address() -> Invalid:
    return Invalid(
        "client.address",
        "expected the address of a node, such as http://127.0.0.1:8700, got another text",
        hint=Text("'chengshu node show' prints it.", "可用 chengshu node show 查看地址。"),
    )


def _no_node(response: httpx.Response) -> Unavailable:
    return Unavailable(
        "client.no-node",
        f"expected the answer of a node, got status {response.status_code} with something else",
        hint=Text("Check the address: it is what 'chengshu node show' prints, without a path.", "请核对地址：应为节点地址，不含路径。"),
    )
