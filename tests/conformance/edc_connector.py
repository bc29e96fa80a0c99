"""A real Eclipse EDC connector: assembled by Maven, run as a process of its own, spoken to through its management API (v3).

Nothing here is part of a node. The jars come from Maven Central by ``tests/conformance/edc/pom.xml`` and stay in ``build/edc``; they are
started as they are, with the main class that EDC's own launchers use. Its identity is ``iam-mock``: whoever writes a name is believed.
"""

import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

ROOT = Path(__file__).parents[2]
POM = Path(__file__).parent / "edc" / "pom.xml"
LIB = ROOT / "build" / "edc" / "lib"
MAIN = "org.eclipse.edc.boot.system.runtime.BaseRuntime"
PROTOCOL = "dataspace-protocol-http:2025-1"
ODRL = "http://www.w3.org/ns/odrl.jsonld"
EDC = "https://w3id.org/edc/v0.0.1/ns/"
START_S = 90.0
WAIT_S = 60.0
KEY = "only-for-tests"
TUNED_MS = 50

_CONTEXTS = ("", "management", "protocol", "control", "version", "signaling")
_ENDS = {"TERMINATED", "FINALIZED", "COMPLETED"}
_READY = re.compile(r"Runtime \S+ ready")
_MACHINES = ("negotiation.consumer", "negotiation.provider", "transfer", "dataplane")


def lacking() -> str | None:
    """Return what keeps a connector from being started on this machine, None where nothing does."""
    if shutil.which("java") is None:
        return "no Java on this machine (apt-get install openjdk-17-jre-headless maven)"
    if not jars() and shutil.which("mvn") is None:
        return "no Maven on this machine to fetch the connector's jars with (apt-get install maven)"
    return None


def jars() -> list[Path]:
    """Return the connector's jars, none where they were not fetched for the pom as it is now."""
    done = LIB.parent / "pom.xml"
    return sorted(LIB.glob("*.jar")) if done.exists() and done.read_bytes() == POM.read_bytes() else []


def assemble() -> None:
    """Fetch the connector's jars from Maven Central where they are not here already."""
    if jars():
        return
    shutil.rmtree(LIB, ignore_errors=True)
    command = ["mvn", "-B", "-q", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={LIB}"]
    subprocess.run(command, check=True)
    shutil.copyfile(POM, LIB.parent / "pom.xml")


class Edc:
    """One connector with both planes in one process; ``iteration_ms`` is how long its state machines sleep, None for EDC's default."""

    def __init__(self, folder: Path, participant: str, *, iteration_ms: int | None = TUNED_MS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.participant = participant
        self.log = folder / "edc.log"
        self._properties = folder / "edc.properties"
        self._ports = _free_ports()
        self._iteration_ms = iteration_ms
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{self._ports['management']}/management/v3", headers={"X-Api-Key": KEY}, trust_env=False, timeout=30
        )

    @property
    def address(self) -> str:
        """Where its protocol endpoints are, with the version."""
        return f"http://127.0.0.1:{self._ports['protocol']}/protocol/2025-1"

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._running().pid

    def __enter__(self) -> Self:
        assemble()
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in self._settings().items()), encoding="utf-8")
        command = ["java", f"-Dedc.fs.config={self._properties}", "-cp", f"{LIB}/*", MAIN]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process."""
        self._client.close()
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def offer(self, asset: str, *, source: str, policy: Mapping[str, Any] | None = None) -> None:
        """Publish an asset that is read from the URL ``source``, under ``policy`` (ODRL without id and type; None: anyone may use it)."""
        self.add_asset(asset, source=source)
        rules = {"@context": ODRL, "@type": "Set", **(policy or {"permission": [{"action": "use"}]})}
        self._post("/policydefinitions", {"@id": f"{asset}-policy", "policy": rules})
        self._define(asset, policy=f"{asset}-policy", assets=[{"operandLeft": f"{EDC}id", "operator": "=", "operandRight": asset}])

    def add_asset(self, asset: str, *, source: str = "http://127.0.0.1:9/") -> None:
        """Add an asset that is read from the URL ``source``; no definition offers it yet."""
        self._post("/assets", {"@id": asset, "properties": {"name": asset}, "dataAddress": _http_data(source)})

    def offer_all(self, *, policy: str) -> None:
        """Offer every asset that no definition offers, now and from now on, under a policy that is there."""
        self._define("all", policy=policy, assets=[])

    def catalog(self, party: str, address: str) -> dict[str, Any]:
        """Return another party's catalog as this connector reads and shows it."""
        return self._post("/catalog/request", _counterparty(party, address))

    def negotiate(self, party: str, address: str, offer: Mapping[str, Any], *, asset: str) -> str:
        """Ask another party for an offer of its catalog and return our id of the negotiation."""
        policy = {"@context": ODRL, **offer, "assigner": party, "target": asset}
        return str(self._post("/contractnegotiations", {**_counterparty(party, address), "policy": policy})["@id"])

    def transfer(self, party: str, address: str, *, agreement: str, kind: str, events: str) -> str:
        """Ask another party for the data under an agreement; return our id of the transfer, whose events are posted to ``events``."""
        told = [{"@type": "CallbackAddress", "transactional": False, "uri": events, "events": ["transfer.process"]}]
        asked = {**_counterparty(party, address), "contractId": agreement, "transferType": kind, "callbackAddresses": told}
        return str(self._post("/transferprocesses", asked)["@id"])

    def negotiation(self, negotiation: str) -> dict[str, Any]:
        """Return a negotiation as it stands."""
        found: dict[str, Any] = self._get(f"/contractnegotiations/{negotiation}")
        return found

    def negotiations(self) -> list[dict[str, Any]]:
        """Return every negotiation."""
        found: list[dict[str, Any]] = self._post("/contractnegotiations/request", {"@type": "QuerySpec", "limit": 100_000})
        return found

    def transferred(self, transfer: str) -> dict[str, Any]:
        """Return a transfer as it stands."""
        return self._get(f"/transferprocesses/{transfer}")

    def agreement(self, agreement: str) -> dict[str, Any]:
        """Return an agreement as this connector holds it."""
        return self._get(f"/contractagreements/{agreement}")

    def steer_transfer(self, transfer: str, verb: str) -> None:
        """Suspend, resume or terminate a transfer, as ``verb`` says."""
        self._post(
            f"/transferprocesses/{transfer}/{verb}",
            {"@type": "SuspendTransfer" if verb == "suspend" else "TerminateTransfer", "reason": "a test"},
        )

    def _define(self, name: str, *, policy: str, assets: list[dict[str, str]]) -> None:
        definition = {"accessPolicyId": policy, "contractPolicyId": policy, "assetsSelector": assets}
        self._post("/contractdefinitions", {"@id": f"{name}-definition", **definition})

    def _post(self, path: str, document: Mapping[str, Any]) -> Any:
        context = {"@vocab": EDC, "edc": EDC, "odrl": "http://www.w3.org/ns/odrl/2/"}
        return self._answered(self._client.post(path, json={"@context": context, **document}))

    def _get(self, path: str) -> Any:
        return self._answered(self._client.get(path))

    def _answered(self, response: httpx.Response) -> Any:
        assert response.is_success, f"expected EDC to accept {response.request.url}, got {response.status_code}: {response.text[:2000]}"
        return response.json() if response.content else {}

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "expected a connector that was started"
        return self._process

    def _await_ready(self) -> None:
        # Its readiness endpoint answers before its other endpoints do; its log says when all of them stand.
        last = time.monotonic() + START_S
        while not _READY.search(self.log.read_text(encoding="utf-8")):
            assert self._running().poll() is None, f"expected EDC to start, got: {self.log.read_text(encoding='utf-8')[-3000:]}"
            assert time.monotonic() < last, f"expected EDC to be ready within {START_S:g} s, see {self.log}"
            time.sleep(0.05)

    def _settings(self) -> dict[str, str]:
        settings = {
            "edc.participant.id": self.participant,
            "edc.hostname": "127.0.0.1",
            "edc.dsp.callback.address": f"http://127.0.0.1:{self._ports['protocol']}/protocol",
            "web.http.management.auth.type": "tokenbased",
            "web.http.management.auth.key": KEY,
            "edc.policy.validation.enabled": "false",  # else an offer with an operand that no extension of its own knows cannot be made
            "edc.transfer.proxy.token.signer.privatekey.alias": "signer",
            "edc.transfer.proxy.token.verifier.publickey.alias": "verifier",
        }
        for name, port in self._ports.items():
            prefix = f"web.http.{name}" if name else "web.http"
            settings |= {f"{prefix}.port": str(port), f"{prefix}.path": f"/{name or 'api'}"}
        if self._iteration_ms is not None:
            settings |= {f"edc.{machine}.state-machine.iteration-wait-millis": str(self._iteration_ms) for machine in _MACHINES}
        return settings


def until(current: Callable[[], dict[str, Any]], *wanted: str, wait_s: float = WAIT_S) -> dict[str, Any]:
    """Ask until the process that ``current`` returns is in one of the states ``wanted``; an end elsewhere fails at once."""
    last = time.monotonic() + wait_s
    while True:
        process = current()
        state = process["state"]
        if state in wanted:
            return process
        assert state not in _ENDS, f"expected {' or '.join(wanted)}, got {state}: {process.get('errorDetail')}"
        assert time.monotonic() < last, f"expected {' or '.join(wanted)} within {wait_s:g} s, got {state}: {process.get('errorDetail')}"
        time.sleep(0.05)


def _counterparty(party: str, address: str) -> dict[str, str]:
    return {"counterPartyId": party, "counterPartyAddress": address, "protocol": PROTOCOL}


def _http_data(url: str) -> dict[str, str]:
    return {"@type": "DataAddress", "type": "HttpData", "baseUrl": url}


def free_port() -> int:
    """Return a port that nobody listens on and that the system gives to no outgoing connection, so that it is free a moment later too."""
    while True:
        port = random.randrange(20_000, 30_000)  # noqa: S311  # nothing is secret about it
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def _free_ports() -> dict[str, int]:
    ports: set[int] = set()
    while len(ports) < len(_CONTEXTS):
        ports.add(free_port())
    return dict(zip(_CONTEXTS, ports, strict=True))
