"""Sums of several holders' rows that nobody sees the parts of: each holder adds up its own, masks the sums, and the masks cancel.

The protocol is that of Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning (ACM CCS 2017), figure 4,
with its consistency round, so that a room that lies about who is still there learns nothing by it; in the order of a job's life:
``fitting`` (may a question be answered so), ``form`` (which numbers are added up), ``words`` (numbers that wrap round), ``masks``,
``roster`` (who takes part), ``member`` (a holder's side) and ``gathering`` (the room's side).
"""
