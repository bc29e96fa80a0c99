"""Traffic conflicts from vehicle tracks: following, merging and crossing, with TTC, DRAC and PET, and how to grade them."""

from chengshu.methods.conflicts.detect import detect_conflicts
from chengshu.methods.conflicts.grading import GRADE_SCHEMA, grade
from chengshu.methods.conflicts.grid import closing_pairs
from chengshu.methods.conflicts.parameters import DEFAULTS, ConflictParameters, Lookahead
from chengshu.methods.conflicts.recorded import tracks_of
from chengshu.methods.conflicts.tables import CONFLICT_SCHEMA

__all__ = [
    "CONFLICT_SCHEMA",
    "DEFAULTS",
    "GRADE_SCHEMA",
    "ConflictParameters",
    "Lookahead",
    "closing_pairs",
    "detect_conflicts",
    "grade",
    "tracks_of",
]
