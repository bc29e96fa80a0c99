"""The evidence room: a log of every act that nobody can quietly change, and the checker that ships with it.

Auditors use ``python -m chengshu.evidence`` and what it is made of: the log (``tree``, ``tiles``, ``checkpoint``, ``model``, ``verify``,
``use``, ``storage.files``), ``packs`` (evidence that stands alone), ``witnessing``, ``inspecting`` and ``reconciling``. These need nothing
but the standard library and ``cryptography``, so nothing is imported here.
"""
