"""Apache Spark, driven by pyspark: the same questions as DuckDB's, for more rows than one machine's memory and processors are for."""
