"""TPC-H by ``tpchgen-cli``: which queries vetting refuses, and what forms of them cost that it allows."""
