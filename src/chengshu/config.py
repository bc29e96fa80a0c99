"""Everything an operator can choose: one ``chengshu.toml`` in the node's folder."""

import json
import os
import re
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from chengshu.kernel.databases.postgresql_place import without_password
from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.text import Text

FILE_NAME = "chengshu.toml"
DATABASE_URL = "CHENGSHU_DATABASE_URL"


def _network(text: str) -> str:
    ip_network(text)  # its ValueError is the message
    return text


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeSection(_Section):
    """Who the node is; ``handle`` is the party's part of ``party.product`` in questions."""

    handle: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    name_en: str = Field(min_length=1, max_length=120)
    name_zh: str = Field(min_length=1, max_length=120)


class ServeSection(_Section):
    """Where the node listens, and the address that others reach it at."""

    host: str = "127.0.0.1"
    port: int = Field(default=8700, ge=1, le=65535)
    public_url: str | None = None
    development: bool | None = None

    @property
    def address(self) -> str:
        """The base URL that other nodes use."""
        return self.public_url or f"http://{self.host}:{self.port}"


_BELOW = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?$"


class FlightSection(_Section):
    """Where the node listens for Flight SQL, nowhere without a ``port``; certificate and key are files below the node's folder."""

    host: str = "127.0.0.1"
    port: int | None = Field(default=None, ge=1, le=65535)
    certificate: str | None = Field(default=None, pattern=_BELOW)
    key: str | None = Field(default=None, pattern=_BELOW)

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("expected a certificate and its key, got one without the other")
        return self


class OutgoingSection(_Section):
    """Whom this node calls beyond the public internet's https: hosts that parties may name, networks that are not public, authorities."""

    hosts: tuple[Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,253}(:[0-9]{1,5})?$")], ...] = ()
    networks: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    certificates: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")


class DatabaseSection(_Section):
    """Where the node's database is: PostgreSQL at a URL without a password, or SQLite in the node's folder where there is none."""

    url: str | None = None

    @property
    def chosen(self) -> str | None:
        """The URL to use: the environment's ``CHENGSHU_DATABASE_URL``, which may hold a password, before the file's."""
        return os.environ.get(DATABASE_URL) or self.url

    @field_validator("url")
    @classmethod
    def _keeps_no_secret(cls, url: str | None) -> str | None:
        if url is not None and without_password(url)[1] is not None:
            raise ValueError("expected a URL without a password, which belongs into keys/database.password (mode 0600), got one with it")
        return url


Sealing = Literal["required", "offered"]
EngineSetting = Literal["duckdb", "spark", "auto"]


class CleanroomSection(_Section):
    """Whether this node runs a clean room for others, what one job may use, and whether methods run where the kernel lacks their seal."""

    enabled: bool = False
    memory_limit: str = "512MB"
    threads: int = Field(default=1, ge=1, le=64)
    spill_limit: str = "4GB"
    engine: EngineSetting = "duckdb"
    spark_from_rows: int = Field(default=100_000_000, ge=0)
    spark_from_mib: int = Field(default=8192, ge=0)
    spark_master: str = Field(default="local[2]", pattern=r"^(local\[([1-9][0-9]{0,2}|\*)\]|spark://[A-Za-z0-9.,:-]{1,500})$")
    spark_memory_mib: int = Field(default=1024, ge=512)
    timeout_s: float = Field(default=60.0, gt=0)
    input_wait_s: float = Field(default=15.0, gt=0)
    method_cpu_s: float = Field(default=120.0, ge=1)
    method_memory_mib: int = Field(default=2048, ge=256)
    method_seal: Sealing = "required"


Cryptography = Literal["international", "national"]


class SpaceSection(_Section):
    """What all nodes of one space have in common: the profile of cryptography that hashes, signs and seals."""

    cryptography: Cryptography = "international"


Deciding = Literal["automatic", "by-hand"]


class ContractSection(_Section):
    """Who takes the node's own steps in negotiations and transfers: the node as soon as it may, or its operator, one verb at a time."""

    decide: Deciding = "automatic"


class PlaceSection(_Section):
    """Where a party's systems stand, as this node's operator knows it: longitude before latitude, WGS84."""

    party: str = Field(min_length=1, max_length=512)
    at: str = Field(pattern=r"^(POINT|POLYGON|MULTIPOLYGON) ?\(", max_length=10_000)


class PolicySection(_Section):
    """What policies about places are judged by."""

    places: tuple[PlaceSection, ...] = ()


class WitnessSection(_Section):
    """Whether this node cosigns others' checkpoints, and the file in its folder that names its own witnesses and their quorum."""

    enabled: bool = False
    policy: str = Field(default="witness.policy", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")


class AnchorSection(_Section):
    """On which chain checkpoints are anchored, if on any: its node's URL, the contract, who pays, and how often."""

    chain: Literal["evm", "fisco"] | None = None
    url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    contract: str | None = Field(default=None, pattern=r"^0x[0-9a-fA-F]{40}$")
    account: str | None = Field(default=None, pattern=r"^0x[0-9a-fA-F]{40}$")
    group: str = Field(default="group0", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    every_hours: float | None = Field(default=None, gt=0)


class CatalogSection(_Section):
    """Whose catalogs this node shows inside its own (by id, handle or name), and how often they are fetched."""

    federate: tuple[Annotated[str, Field(min_length=1, max_length=512)], ...] = Field(default=(), max_length=100)
    refresh_minutes: float = Field(default=60.0, gt=0)


class IssuerSection(_Section):
    """An issuer of credentials, by its DID, and the types of credential that it is believed for."""

    did: str = Field(pattern=r"^did:(web|key):[!-~]{1,500}$")
    types: tuple[Annotated[str, Field(pattern=r"^[!-~]{1,200}$")], ...] = Field(min_length=1)


class IdentitySection(_Section):
    """Claims by the Decentralized Claims Protocol: this node's own DID, the issuers it trusts, what it requires and asks for.

    Without a ``did`` the protocol is switched off. ``scopes`` defaults to one for each required type.
    """

    did: str | None = Field(default=None, pattern=r"^did:web:[A-Za-z0-9._:%~-]{1,500}$")
    issuers: tuple[IssuerSection, ...] = ()
    required: tuple[Annotated[str, Field(pattern=r"^[!-~]{1,200}$")], ...] = ()
    scopes: tuple[Annotated[str, Field(pattern=r"^[!-~]{1,300}$")], ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.did is not None and not self.required:
            raise ValueError("expected the credential types that are required, got none: nobody would have to prove anything")
        vouched = {one for issuer in self.issuers for one in issuer.types}
        if not set(self.required) <= vouched:
            raise ValueError("expected an issuer for each required type, got a type that nobody is trusted for")
        return self


class Settings(_Section):
    """The whole of ``chengshu.toml``; unknown keys are refused by name."""

    node: NodeSection
    space: SpaceSection = SpaceSection()
    serve: ServeSection = ServeSection()
    flight: FlightSection = FlightSection()
    outgoing: OutgoingSection = OutgoingSection()
    identity: IdentitySection = IdentitySection()
    database: DatabaseSection = DatabaseSection()
    cleanroom: CleanroomSection = CleanroomSection()
    contract: ContractSection = ContractSection()
    catalog: CatalogSection = CatalogSection()
    policy: PolicySection = PolicySection()
    witness: WitnessSection = WitnessSection()
    anchor: AnchorSection = AnchorSection()


def load(folder: Path) -> Settings:
    """Return the settings of the node in ``folder``.

    Raises NotFound when the folder holds no node and Invalid, naming file, key, expected and got, when the file is wrong.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise NotFound(
            "node.absent",
            f"expected a node in {folder}, got no {FILE_NAME} there",
            hint=Text(
                f"Create one with 'chengshu node init {folder}', or name the folder with --node.",
                f"请用 chengshu node init {folder} 创建节点，或用 --node 指定目录。",
            ),
        )
    try:
        return Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise _invalid(path, f"expected TOML, got: {error}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise _invalid(path, f"at {key}: {first['msg']}") from error


def write(folder: Path, settings: Settings) -> Path:
    """Write ``settings`` as the folder's ``chengshu.toml`` and return its path."""
    lines: list[str] = []
    for section, values in settings.model_dump(exclude_none=True).items():
        if not values:
            continue
        lines.append(f"[{section}]")
        lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
        lines.append("")
    path = folder / FILE_NAME
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def enable_witness(folder: Path) -> Settings:
    """Set ``witness.enabled`` in the folder's ``chengshu.toml``, leave every other line as it is, and return the settings."""
    path = folder / FILE_NAME
    text = path.read_text(encoding="utf-8")
    if not load(folder).witness.enabled:
        changed, count = re.subn(r"(?m)(^\[witness\]\s*(?:#.*\s*)*^enabled\s*=\s*)false", r"\1true", text)
        if count == 0:
            changed, count = re.subn(r"(?m)^\[witness\].*$", r"\g<0>\nenabled = true", text)
        if count == 0:
            changed = text.rstrip("\n") + "\n\n[witness]\nenabled = true\n"
        path.write_text(changed, encoding="utf-8")
    return load(folder)


def set_anchor(folder: Path, *, chain: str, url: str, contract: str, account: str | None) -> Settings:
    """Set where checkpoints are anchored in the folder's ``chengshu.toml``, leave every other line as it is, and return the settings."""
    path = folder / FILE_NAME
    text = path.read_text(encoding="utf-8")
    head, rest = text.rstrip("\n") + "\n\n", ""
    kept: list[str] = []
    found = re.search(r"(?ms)^\[anchor\][^\n]*\n(.*?)(?=^\[|\Z)", text)
    if found is not None:
        head, rest = text[: found.start()], text[found.end() :]
        kept = found[1].splitlines()
    values = {"chain": chain, "url": url, "contract": contract} | ({} if account is None else {"account": account})
    kept = [line for line in kept if line.partition("=")[0].strip() not in values]
    lines = ["[anchor]", *(f"{key} = {_toml(value)}" for key, value in values.items()), *kept]
    path.write_text(head + "\n".join(lines).rstrip("\n") + "\n" + (f"\n{rest}" if rest else ""), encoding="utf-8")
    return load(folder)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list() | tuple():
            return f"[{', '.join(_toml(one) for one in value)}]"
        case dict():
            return f"{{{', '.join(f'{key} = {_toml(one)}' for key, one in value.items())}}}"
        case _:
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")  # JSON's escapes are TOML's, but for this one


def _invalid(path: Path, problem: str) -> Invalid:
    return Invalid(
        "config.invalid",
        f"{path.name}: {problem}",
        hint=Text(
            f"Mend {path}; the reference lists every key.",
            f"请修正 {path}；参考文档列出了全部配置项。",
        ),
    )
