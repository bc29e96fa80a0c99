"""Scenario packs: data only. Found through the ``chengshu.packs`` entry point, as any other distribution's packs are."""
