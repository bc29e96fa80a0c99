"""The catalog's messages."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator

from chengshu.dsp.messages.policy import CatalogOffer
from chengshu.dsp.messages.shapes import Id, Message, Shape

FETCHED_AT: Final = "https://w3id.org/chengshu/dsp/fetchedAt"
"""Our extension: when a nested catalog was fetched from its party; it may have changed since."""


class CatalogRequestMessage(Message):
    """A request for the catalog; filters are each connector's own matter."""

    type: Literal["CatalogRequestMessage"] = Field(alias="@type")
    filter: list[Any] | dict[str, Any] | None = None


class _DataService(Shape):
    id: Id = Field(alias="@id")
    type: Literal["DataService"] = Field(alias="@type")
    endpoint_url: str = Field(alias="endpointURL")


class _Distribution(Shape):
    type: Literal["Distribution"] = Field(alias="@type")
    format: Id
    access_service: Id | _DataService


class _Entry(Shape):
    id: Id = Field(alias="@id")
    type: Literal["Dataset"] = Field(alias="@type")
    has_policy: Annotated[list[CatalogOffer], Field(min_length=1)]
    distribution: Annotated[list[_Distribution], Field(min_length=1)]


class NestedCatalog(Shape):
    """A catalog inside another; its context is the outer one's."""

    id: Id = Field(alias="@id")
    type: Literal["Catalog"] = Field(alias="@type")
    dataset: Annotated[list[_Entry], Field(min_length=1)] | None = None
    catalog: Annotated[list["NestedCatalog"], Field(min_length=1)] | None = None


class Dataset(_Entry, Message):
    """One product with the offers for it, as an answer of its own."""


class Catalog(Message):
    """What a connector offers."""

    id: Id = Field(alias="@id")
    type: Literal["Catalog"] = Field(alias="@type")
    participant_id: Id
    dataset: Annotated[list[_Entry], Field(min_length=1)] | None = None
    service: Annotated[list[_DataService], Field(min_length=1)] | None = None
    catalog: Annotated[list[NestedCatalog], Field(min_length=1)] | None = None

    @field_validator("service", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value
