"""The evidence room: a log of every act that nobody can quietly change, and the checker that ships with it.

Auditors use ``tree``, ``tiles``, ``checkpoint``, ``model``, ``storage.files``, ``verify``, ``use`` and ``python -m chengshu.evidence``;
these need nothing but the standard library and ``cryptography``, so nothing is imported here.
"""
