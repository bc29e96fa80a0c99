"""Why a method was stopped, by rule, in both languages."""

from collections.abc import Mapping

from chengshu.cleanroom.cell.order import MethodLimits
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

_ONLY_INPUTS = Text(
    "A method that computes on its inputs and parameters and returns its declared tables.", "仅以输入和参数计算并返回所声明之表的方法。"
)
_TRIED: Mapping[str, str] = {
    "method-network": "use the network",
    "method-files": "reach a file that is none of its inputs",
    "method-environment": "look at the system that it runs on",
    "method-process": "start, stop or look into a process, or change the system",
    "method-memory": "share memory",
}
STOPPED = frozenset({*_TRIED, "method-time"})
"""The rules that end a method which runs already: each such end is an entry of the room's log."""


def refusal(rule: str, *, call: str, missing: str, limits: MethodLimits) -> Refused:
    """Return the refusal of a method that was stopped by ``rule``: for the system call ``call``, or for a limit where there is none."""
    if rule == "method-seal":
        return Refused(
            rule,
            f"question.method: this room's kernel does not offer the seal that a method runs in ({missing})",
            Text(
                "A room on Linux 5.14 or later; its operator can see what is missing with 'chengshu doctor'.",
                "Linux 5.14 及以上内核的净室；运营方可用 chengshu doctor 查看缺少的隔离层。",
            ),
        )
    if rule == "method-time":
        return Refused(
            rule,
            f"question.method: expected the method to end within {limits.time_s:g} s, and {limits.cpu_s:g} s of processors, got no end",
            Text(
                "Less data, or more time from the room's operator (cleanroom.timeout_s, cleanroom.method_cpu_s).",
                "减少数据量，或请净室运营方放宽时限（cleanroom.timeout_s、cleanroom.method_cpu_s）。",
            ),
        )
    if rule == "method-memory" and not call:
        return Refused(
            rule,
            f"question.method: expected the method to need at most {limits.memory_bytes // 2**20} MiB of memory, got more",
            Text(
                "Less data, or more memory from the room's operator (cleanroom.method_memory_mib).",
                "减少数据量，或请净室运营方增加内存（cleanroom.method_memory_mib）。",
            ),
        )
    return Refused(rule, f"question.method: the method tried to {_TRIED[rule]} ({call})", _ONLY_INPUTS, {"call": call})
