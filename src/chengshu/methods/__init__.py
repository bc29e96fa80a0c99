"""Analytic methods: pure functions on Arrow tables and arrays with typed parameters, one subject a file or folder."""
