"""What a play leaves behind for a person to read: one self-contained page in two languages."""

from chengshu.scenario.report.page import write_report

__all__ = ["write_report"]
