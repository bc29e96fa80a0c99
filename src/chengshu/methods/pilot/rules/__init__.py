"""The ordered table of pilot rules R01 to R15, each with its title, its source and its decision."""

from collections.abc import Callable
from dataclasses import dataclass

from chengshu.kernel.text import Text
from chengshu.methods.pilot.rules import admission, driving, fleet, place
from chengshu.methods.pilot.scene import Scene
from chengshu.methods.pilot.verdict import Verdict

_PLAN = "国数政策〔2023〕11号, TRA-3"
_SERVICE = "交通运输部《自动驾驶汽车运输安全服务指南（试行）》(2023-12)"
_ROAD_TEST = "工信部联通装〔2021〕97号《智能网联汽车道路测试与示范应用管理规范（试行）》"
_ADMISSION = "四部门《关于开展智能网联汽车准入和上路通行试点工作的通知》(2023-11-17)"
_L3 = "首批L3准入 (2025-12-15)"
_BEIJING = "《北京市自动驾驶汽车条例》(2025-04-01)"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: where it comes from, and the pure function that decides it for every tick."""

    rule_id: str
    title: Text
    source: str
    decide: Callable[[Scene], Verdict]


RULES: tuple[Rule, ...] = (
    Rule("R01", Text("Permitted zones", "许可区域"), f"{_PLAN}; {_ROAD_TEST}", place.zone),
    Rule("R02", Text("Time windows and validity", "许可时段与有效期"), _PLAN, driving.window),
    Rule("R03", Text("Vehicle and software in the permit", "车辆与软件版本在许可内"), f"{_ADMISSION}; {_L3}", admission.vehicle),
    Rule("R04", Text("Operator in the permit", "使用主体在许可内"), f"{_ADMISSION}; {_L3}", admission.operator),
    Rule("R05", Text("Speed cap of the road", "道路限速"), _L3, driving.speed),
    Rule("R06", Text("Weather within the design domain", "天气在设计运行条件内"), "GB/T 45312—2025", driving.weather),
    Rule("R07", Text("Safety officers", "安全员配备"), _SERVICE, driving.officer),
    Rule(
        "R08",
        Text("Control mode, and by hand outside the zones", "控制模式与区域外人工驾驶"),
        f"{_ROAD_TEST}; {_BEIJING} 33",
        place.control_mode,
    ),
    Rule("R09", Text("Telemetry alive and complete", "运行数据实时且完整"), f"{_SERVICE}; {_ROAD_TEST}", fleet.liveness),
    Rule("R10", Text("Fleet cap", "车队规模上限"), "MDS Policy 2.0.2, rule type count", fleet.fleet_cap),
    Rule("R11", Text("Temporary directives", "临时管控指令"), f"{_ADMISSION}, 暂停与退出", place.directive),
    Rule("R12", Text("Insurance", "保险"), _SERVICE, admission.insurance),
    Rule("R13", Text("No dangerous goods", "禁运危险货物"), _SERVICE, admission.cargo),
    Rule("R14", Text("Permitted stops", "许可停靠点"), _SERVICE, place.stops),
    Rule("R15", Text("Not immobilised", "不得长时间滞留"), f"{_BEIJING} 33", driving.immobilised),
)
"""Every rule is evaluated: unlike MDS, a vehicle matched by one rule is not hidden from the next."""
