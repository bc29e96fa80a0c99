import pytest

from chengshu.scenario.summary import MOST_LINES, summarise


def job_of(play, name):
    return next(job for job in play["jobs"] if job["part"] == name)


def test_the_summary_tells_the_main_figures(play, pack):
    assert summarise(play, pack, "en") == [
        "An autonomous-driving pilot (simulated traffic on a real network)",
        "Set aside: link_speed",
        "Left out: detector_1min",
        "Multiplier: 3.3× (95 % interval: 2.0 to 9.0)",
        "  over 84 dangerous encounters, seen at least 2 s ahead, 50 % of junctions equipped",
        "  Car maker saw 64 of 84 (76.2 %)",
        "  Road operator saw 41 of 84 (48.8 %)",
        "  Navigation platform saw 11 of 84 (13.1 %)",
        "  Fleet operator saw 6 of 84 (7.1 %)",
        "  All together saw 78 of 84 (92.9 %)",
        "Permit: 15 rules; 487 compliant, 6 violations, 197 unknown",
        "Contracts: 7 of 8 agreed",
        "Questions: 2 answered, 2 refused; 0 otherwise than expected",
        "Payments: Car maker ¥5,683.76, Road operator ¥3,141.03, Navigation platform ¥790.60, Fleet operator ¥384.61",
        "  sum ¥10,000.00 of a price of ¥10,000.00",
        "Evidence: 6 of 6 logs intact, one use proved",
    ]


def test_the_summary_speaks_chinese(play, pack):
    lines = summarise(play, pack, "zh")
    assert lines[:4:3] == ["自动驾驶试运营（真实路网上的仿真交通）", "乘数：3.3×（95 % 区间：2.0 至 9.0）"]
    assert lines[-1] == "存证：6 / 6 份日志完好，一次使用已证明"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_summary_is_short_even_with_many_parties(play, pack, language):
    job_of(play, "hazards")["tables"]["coalitions"] = [
        {"coalition": "+".join(f"p{i}" for i in members), "seen": max(members), "n": 40}
        for members in [*([i] for i in range(30)), range(30)]
    ]
    lines = summarise(play, pack, language)
    assert len(lines) <= MOST_LINES
    named = [line.split("：")[0].split(" saw ")[0].strip() for line in lines[5:13]]
    assert named == ["p29", "p28", "p27", "p26", "p25", "p24", "p23", {"en": "All together", "zh": "多方融合"}[language]]


def test_a_play_of_which_nothing_is_known_is_summed_up_as_that(pack):
    assert summarise({}, pack, "en") == [
        "An autonomous-driving pilot (simulated traffic on a real network)",
        "Multiplier: not measured. Not available: the job “hazards” was not run.",
        "Permit: not checked",
        "Contracts: 0 of 0 agreed",
        "Questions: 0 answered, 0 refused; 0 otherwise than expected",
        "Payments: nothing was settled",
        "Evidence: nothing was checked",
    ]


def test_a_use_that_is_not_proved_is_not_called_proved(play, pack):
    play["evidence"]["use"]["holds"] = False
    play["evidence"]["logs"][0]["verified"] = False
    assert summarise(play, pack, "en")[-1] == "Evidence: 5 of 6 logs intact, no use proved"


def test_a_question_that_went_otherwise_is_counted(play, pack):
    play["queries"][0]["as_expected"] = False
    assert "Questions: 2 answered, 2 refused; 1 otherwise than expected" in summarise(play, pack, "en")


def test_a_multiplier_that_is_only_bounded_is_told_as_a_bound(play, pack):
    job_of(play, "hazards")["tables"]["multiplier"][0].update({"status": "lower-bound", "value": None, "low": 2.9, "high": None})
    assert summarise(play, pack, "en")[3].startswith("Multiplier: ≥ 2.9× (All together missed nothing")


def test_a_source_that_was_set_aside_is_told_first_and_with_its_reason(play, pack):
    reason = {"en": {"message": "link.csv: speed-unit: expected m/s, got km/h"}, "zh": {"message": "link.csv：速度单位"}}
    next(row for row in play["products"] if row["state"] == "set-aside")["reason"] = reason
    assert summarise(play, pack, "en")[1] == "Set aside: link_speed link.csv: speed-unit: expected m/s, got km/h"


def test_a_party_that_was_left_out_for_its_clock_is_told_before_the_multiplier(play, pack):
    row = {"source": "road_operator", "offset_ms": -28_800_000.0, "state": "quarantined", "n": 40}
    job_of(play, "hazards")["tables"]["alignment"].append(row)
    lines = summarise(play, pack, "en")
    assert lines.index("Left out: Road operator, whose clock is +28,800.0 s off; it has no part in what follows") < next(
        place for place, line in enumerate(lines) if line.startswith("Multiplier")
    )
