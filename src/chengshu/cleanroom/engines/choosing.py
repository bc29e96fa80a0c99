"""Which engine computes a question: the one that the operator has set, or the one that the size of the input asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from chengshu.cleanroom.engines.engine import Engine

EngineSetting = Literal["duckdb", "spark", "auto"]


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines there are, and the operator's word; by ``auto`` Spark computes from so many rows, or so many bytes, of input on."""

    setting: EngineSetting
    duckdb: Engine
    spark: Engine
    spark_from_rows: int
    spark_from_bytes: int

    def choose(self, tables: Mapping[str, pa.Table]) -> Engine:
        """Return the engine for a question over ``tables``."""
        match self.setting:
            case "duckdb":
                return self.duckdb
            case "spark":
                return self.spark
            case "auto":
                rows, size = (sum(one) for one in zip((0, 0), *((table.num_rows, table.nbytes) for table in tables.values()), strict=True))
                return self.spark if rows >= self.spark_from_rows or size >= self.spark_from_bytes else self.duckdb

    @property
    def told(self) -> str:
        """What a plan says of the engine before the input is there."""
        if self.setting != "auto":
            return self.setting
        return f"spark from {self.spark_from_rows} rows or {self.spark_from_bytes // 2**20} MiB of input on, otherwise duckdb"
