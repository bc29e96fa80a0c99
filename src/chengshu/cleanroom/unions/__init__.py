"""UNION ALL of the rows of several products: what a column of the whole may be used for, and the whole taken apart again."""
