"""Sums of several holders' rows that nobody sees the parts of: each holder adds up its own, masks the sums, and the masks cancel.

The protocol is that of Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning (ACM CCS 2017), figure 4,
with its consistency round, so that a room that lies about who is still there learns nothing by it; in the order of a job's life:
``fitting`` (may a question be answered so), ``form`` (which numbers are added up, as ``fixed`` ones), ``words`` (numbers that wrap round),
``masks``, ``roster`` (who takes part); a holder's side is ``member``, which works out its figures (``computing``) and takes one holder's
steps (``round``); the room's is ``gathering``, which takes the masks away (``adding``). ``packing`` is how all of it travels.
"""
