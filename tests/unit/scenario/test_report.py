import json
import re
from datetime import UTC, datetime
from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_reader import Node, grid_of_lanes, read_page, table

from chengshu.kernel.money import Fen
from chengshu.kernel.text import Text
from chengshu.scenario.report import cartography, charts, proof
from chengshu.scenario.report.headline import headline
from chengshu.scenario.report.markup import both, element
from chengshu.scenario.report.reading import Cast, cast_of, reasons, sentences
from chengshu.settlement.model import CoalitionCount, Order, settle

HOSTILE = '<script>alert("x")</script>'
KINDS = {"following": "following", "crossing": "crossing", "merging": "merging"}


@pytest.fixture
def cast(play, pack):
    return cast_of(play, pack)


def job_of(play, name):
    return next(job for job in play["jobs"] if job["part"] == name)


def multiplier_of(play):
    return job_of(play, "hazards")["tables"]["multiplier"][0]


def words_of(page, language="en"):
    return " ".join(page.all("body")[0].text(language).split())


def test_the_page_loads_nothing_from_anywhere(write, play):
    text = write(play)
    page = read_page(text)
    sources = [
        value for node in page.all() for name, value in node.attributes.items() if name in {"src", "href", "srcset", "action", "data"}
    ]
    assert [value for value in sources if not value.startswith("#")] == []
    assert re.findall(r"url\(|@import|fetch\(|XMLHttpRequest", text) == []
    policy = next(node.attributes["content"] for node in page.all("meta") if node.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")


def test_every_link_leads_to_a_place_in_the_page_and_every_id_is_there_once(write, play):
    page = read_page(write(play))
    ids = [node.attributes["id"] for node in page.all() if "id" in node.attributes]
    links = [node.attributes["href"].removeprefix("#") for node in page.all("a")]
    assert len(links) == 10
    assert sorted(ids) == sorted(set(ids))
    assert set(links) - set(ids) == set()


def test_every_figure_has_a_caption_and_every_table_too(write, play):
    page = read_page(write(play))
    figures, tables = page.all("figure"), page.all("table")
    assert len(figures) == 4
    assert [len(figure.all("figcaption")) for figure in figures] == [1] * len(figures)
    assert [len(one.all("caption")) for one in tables] == [1] * len(tables)
    assert all(caption.text(language).strip() for caption in page.all("figcaption") + page.all("caption") for language in ("en", "zh"))


def test_every_drawing_is_described_by_a_caption_or_hidden_from_screen_readers(write, play):
    page = read_page(write(play))
    captions = {node.attributes["id"] for node in page.all("figcaption")}
    drawings = page.all("svg")
    hidden = [svg for svg in drawings if svg.attributes.get("aria-hidden") == "true"]
    described = [svg for svg in drawings if svg.attributes.get("aria-labelledby") in captions and svg.attributes.get("role") == "img"]
    assert len(described) == 4
    assert len(hidden) + len(described) == len(drawings)


def test_every_english_text_stands_beside_a_chinese_one(write, play):
    page = read_page(write(play))

    def sides(node):
        langs = [child.attributes.get("lang") for child in node.children if isinstance(child, Node) and "lang" in child.attributes]
        return langs == ["en", "zh"] * (len(langs) // 2) and all(sides(child) for child in node.children if isinstance(child, Node))

    body = page.all("body")[0]
    english, chinese = body.all(lang="en"), body.all(lang="zh")
    assert len(english) == len(chinese) > 200
    assert sides(body)
    assert [node.attributes for node in english + chinese if not node.text(node.attributes["lang"]).strip()] == []


@pytest.mark.parametrize(("language", "title"), [("en", "An autonomous-driving pilot"), ("zh", "自动驾驶试运营")])
def test_the_page_begins_in_the_language_that_was_asked_for(write, play, language, title):
    page = read_page(write(play, language=language))
    checked = [node.attributes["id"] for node in page.all("input") if "checked" in node.attributes]
    assert page.all("html")[0].attributes["lang"] == language
    assert checked == [f"say-{language}"]
    assert page.all("title")[0].text(language) == f"{title} · 乘数 Chengshu"


def test_headings_step_down_one_level_at_a_time(write, play):
    levels = [int(node.tag[1]) for node in read_page(write(play)).all() if re.fullmatch(r"h[1-6]", node.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert [after for before, after in pairwise(levels) if after > before + 1] == []


def test_the_label_and_the_licences_are_visible_at_the_top_and_in_the_footer(write, play):
    page = read_page(write(play))
    for place in ("header", "footer"):
        assert "test data, not a result" in page.all(place)[0].text("en")
        assert "测试数据，非真实结果" in page.all(place)[0].text("zh")
    del play["run"]["label"]
    unlabelled = read_page(write(play))
    for place in ("header", "footer"):
        assert "simulated traffic on a real network" in unlabelled.all(place)[0].text("en")
        assert "真实路网上的仿真交通" in unlabelled.all(place)[0].text("zh")
    assert "OpenStreetMap contributors, ODbL 1.0" in page.all("footer")[0].text("en")


def test_the_headline_shows_the_plays_own_numbers(write, play):
    row = multiplier_of(play)
    page = read_page(write(play))
    big = page.all("p", class_="big")[0].text("en")
    assert big == f"{row['value']:.1f}×"
    assert page.all("p", class_="interval")[0].text("en") == f"95 % interval: {row['low']:.1f} to {row['high']:.1f}"
    means = page.all("p", class_="means")[0].text("en")
    assert f"Of {row['n']} dangerous encounters, {round(row['miss_best'] * row['n'])} could not be seen 2 seconds ahead" in means
    assert f"{round(row['miss_fused'] * row['n'])} could not." in means
    assert "Junctions with roadside sensors50 %" in words_of(page)


def test_the_misses_shown_are_those_of_the_released_counts(write, play):
    counts = {row["coalition"]: row for row in job_of(play, "hazards")["tables"]["coalitions"]}
    names = {"Car maker": "car_maker", "Road operator": "road_operator", "Fleet operator": "fleet_operator"}
    names |= {"Navigation platform": "navigation_platform", "All together": max(counts, key=lambda name: name.count("+"))}
    shown = {row[0]: row[2] for row in table(read_page(write(play)), "Dangerous encounters not seen in time")}
    expected = {}
    for title, coalition in names.items():
        missed, n = counts[coalition]["n"] - counts[coalition]["seen"], counts[coalition]["n"]
        expected[title] = f"{100 * missed / n:.1f} % {missed} of {n}"
    assert shown == expected


def test_one_dot_is_drawn_for_each_encounter(write, play):
    dots = next(svg for svg in read_page(write(play)).all("svg") if svg.attributes.get("aria-labelledby") == "caption-dots")
    drawn = [circle.attributes["class"] for circle in dots.all("circle")]
    assert [drawn.count(css) for css in ("plain", "main", "open")] == [64, 14, 6]


def test_the_permit_table_shows_every_rule_with_its_counts(write, play):
    rules = job_of(play, "compliance")["tables"]["rules"]
    shown = table(read_page(write(play)), "The permit, rule by rule")
    names = ("n", "compliant", "violation", "unknown")
    assert [[row[0], row[1], row[2], *row[4:]] for row in shown] == [
        [rule["rule"], rule["title_en"], *(str(rule[name]) for name in names)] for rule in rules
    ]
    assert len(shown) == 15


def test_recall_and_precision_are_shown_for_every_kind_of_encounter(write, play):
    graded = job_of(play, "hazards")["tables"]["accuracy"]
    shown = table(read_page(write(play)), "The detector against the simulator's record")
    assert [(row[1], row[3], row[6], row[7]) for row in shown] == [
        (KINDS[row["encounter"]], str(row["n"]), f"{row['recall']:.3f}", f"{row['precision']:.3f}") for row in graded
    ]


def test_the_payments_shown_sum_to_the_price(write, play):
    document = play["statement"]["document"]
    page = read_page(write(play))
    fen = [int(row[4].replace(",", "")) for row in table(page, "Contributions and payments")]
    assert sum(fen) == document["price_fen"] == 1_000_000
    assert sorted(fen) == sorted(document["payments_fen"].values())
    assert "The payments sum to 1,000,000 fen (¥10,000.00): exactly the price." in words_of(page)


def test_the_shares_are_shown_exactly_and_their_sum_is_what_all_together_achieved(write, play):
    document = play["statement"]["document"]
    shown = [Fraction(row[3]) for row in table(read_page(write(play)), "Contributions and payments")]
    best = max(document["coalitions"], key=lambda row: len(row["members"]))
    assert sorted(shown) == sorted(Fraction(share) for share in document["shares"].values())
    assert sum(shown) == Fraction(best["seen"], best["n"])


def test_payments_that_do_not_sum_to_the_price_are_called_wrong(write, play):
    payments = play["statement"]["document"]["payments_fen"]
    payments[min(payments)] += 1
    words = words_of(read_page(write(play)))
    assert "The payments sum to 1,000,001 fen and the price is 1,000,000 fen: this statement is wrong and must not be paid." in words


def test_a_difference_that_a_party_found_is_shown(write, play):
    play["statement"]["differences"]["road_operator"] = ["payment: expected 3 fen, got 4 fen"]
    assert "Road operator — differs: payment: expected 3 fen, got 4 fen" in words_of(read_page(write(play)))


@given(
    seen=st.lists(st.integers(0, 15), min_size=40, max_size=40),
    price=st.integers(0, 10**9),
)
def test_payments_in_the_table_add_up_whatever_was_seen(seen, price):
    parties = ("a", "b", "c", "d")
    counts = [
        CoalitionCount(frozenset(members), sum(1 for mask in seen if any(mask >> parties.index(one) & 1 for one in members)), len(seen))
        for size in range(5)
        for members in combinations(parties, size)
    ]
    document = settle(Order("s", "j", "a", Fen(price), tuple(counts)), at=datetime(2026, 1, 1, tzinfo=UTC)).as_document()
    view = proof.settlement({"statement": {"document": document, "differences": {}}}, Cast({}, {}))
    paid = sum(int(str(row[4]).replace(",", "")) for row in view.payments.rows)
    assert paid == (price if any(seen) else 0)
    assert view.exact == (paid == price)


def test_a_refusal_is_shown_with_its_rule_its_message_and_what_would_pass(write, play):
    words = {language: words_of(read_page(write(play)), language) for language in ("en", "zh")}
    refused = [query["refusal"] for query in play["queries"] if query["refusal"]]
    assert len(refused) == 2
    missing = [part for one in refused for side in ("en", "zh") for part in list(one[side].values())[:3] if part not in words[side]]
    assert missing == []


def test_a_question_that_did_not_go_as_expected_is_called_so(write, play):
    play["queries"][-1]["as_expected"] = False
    assert "Not what the pack expects." in words_of(read_page(write(play)))


def test_the_proof_of_one_use_is_shown_with_every_claim(write, play):
    words = words_of(read_page(write(play)))
    assert "The use is proved." in words
    assert [claim["text"]["en"] for claim in play["evidence"]["use"]["claims"] if claim["text"]["en"] not in words] == []


def test_a_use_that_is_not_proved_and_a_log_that_is_not_intact_are_called_so(write, play):
    play["evidence"]["use"]["holds"] = False
    play["evidence"]["logs"][0]["verified"] = False
    page = read_page(write(play))
    assert "The use is not proved." in words_of(page)
    assert table(page, "Every node's log (RFC 6962)")[0][3].startswith("not verified")


def test_a_party_is_shown_by_its_title_and_its_id_lies_behind(write, play):
    page = read_page(write(play))
    maker = next(party["id"] for party in play["parties"] if party["role"] == "car_maker")
    chips = {node.text("en") for node in page.all("span", class_="party", title=maker)}
    assert chips == {"Car maker"}


def test_hostile_words_are_shown_as_words(write, play):
    play["parties"][0]["title"] = {"en": HOSTILE, "zh": HOSTILE}
    play["products"][0]["id"] = play["queries"][0]["sql"] = play["queries"][2]["refusal"]["en"]["message"] = HOSTILE
    play["products"][6]["findings"][0]["hint"] = play["contracts"][0]["rules"][0] = {"en": HOSTILE, "zh": HOSTILE}
    play["evidence"]["logs"][0]["root"] = play["contracts"][1]["agreement"] = f'"><img src=x onerror=alert(1)>{HOSTILE}'
    play["queries"][0]["tables"]["answer"][0]["minute"] = job_of(play, "hazards")["notes"][0] = HOSTILE
    zones = {
        "features": [
            {"properties": {"name": HOSTILE}, "geometry": {"type": "Polygon", "coordinates": [[[13, 52], [14, 52], [14, 53], [13, 52]]]}}
        ]
    }
    text = write(play, zones=zones)
    page = read_page(text)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert text.count("&lt;script&gt;") > 12


@pytest.mark.parametrize(
    ("absent", "words"),
    [
        ("parties", "No node was started."),
        ("products", "No product was published in this run."),
        ("contracts", "No contract was negotiated in this run."),
        ("jobs", "Not available: the job “hazards” was not run."),
        ("queries", "No question was answered in this run."),
        ("statement", "Nothing was settled: the job that is paid for released no counts."),
        ("evidence", "No log was published in this run."),
    ],
)
def test_a_missing_part_is_said_to_be_missing(write, play, absent, words):
    assert words not in words_of(read_page(write(play)))
    for nothing in ({}, {absent: None}, {absent: []}):
        kept = {key: value for key, value in play.items() if key != absent}
        assert words in words_of(read_page(write(kept | nothing)))


@pytest.mark.parametrize(
    "name", ["coalitions", "multiplier", "leads", "encounters", "accuracy", "hotspots", "eta", "alignment", "set_aside"]
)
def test_a_page_is_written_without_any_one_table_of_the_hazard_job(write, play, name):
    before = write(play)
    del job_of(play, "hazards")["tables"][name]
    after = write(play)
    assert read_page(after).all("footer") != []
    assert before != after


def test_a_play_of_which_nothing_is_known_still_makes_a_page_that_says_so(write):
    page = read_page(write({}, lanes=None, frame=None, zones=None))
    words = words_of(page)
    assert page.all("p", class_="big words")[0].text("en") == "not measured"
    assert "There is nothing to draw a map from" in words
    assert len(page.all("p", class_="missing")) >= 12
    assert page.all("figure") == []


def test_a_refused_job_is_shown_with_its_reason(write, play):
    job = job_of(play, "hazards")
    job["tables"] = {}
    job["refusal"] = {side: {"rule": "no-agreement", "message": f"av_state {side}", "would_pass": "x"} for side in ("en", "zh")}
    page = read_page(write(play))
    assert "Not available: the job “hazards” was refused (no-agreement): av_state en" in words_of(page)
    assert "无法提供：作业“hazards”被拒绝（no-agreement）：av_state zh" in words_of(page, "zh")


@pytest.mark.parametrize(
    ("change", "number", "interval"),
    [
        ({"status": "lower-bound", "value": 2.94, "low": 2.94, "high": None}, "≥ 2.9×", "All together missed nothing"),
        ({"status": "undefined", "value": None, "low": 6.8, "high": None}, "≥ 6.8×", "All together missed nothing"),
        ({"status": "undefined", "value": None, "low": None, "high": None}, "not defined", None),
        ({"status": "not-measured", "value": None, "low": None, "high": None}, "not measured", None),
        ({"status": "not measured", "value": None, "low": None, "high": None}, "not measured", None),
        ({"value": 1.25, "low": 0.9, "high": 1.7}, "1.25×", "95 % interval: 0.90 to 1.70"),
        ({"value": 5.0, "low": 2.0, "high": None}, "5.0×", "95 % interval: from 2.0, no upper limit"),
        ({"value": 5.0, "low": 2.0, "high": float("inf")}, "5.0×", "95 % interval: from 2.0, no upper limit"),
    ],
)
def test_each_status_of_the_multiplier_is_told_as_what_it_is(play, cast, change, number, interval):
    multiplier_of(play).update(change)
    told = headline(play, cast)
    assert told.number.en == number
    assert (told.interval is None) == (interval is None)
    assert interval is None or told.interval.en.startswith(interval)


def test_an_interval_that_reaches_one_is_said_not_to_establish_a_gain(play, cast):
    multiplier_of(play).update({"low": 0.98})
    assert headline(play, cast).established.en.startswith("The interval reaches down to 1 (no gain)")
    multiplier_of(play).update({"low": 1.2})
    assert headline(play, cast).established.en == "The whole interval lies above 1 (no gain)."


@pytest.mark.parametrize(
    ("fused", "words"), [(26.2, "No lift. The best"), (20.0, "errs 1.33 times as much"), (40.0, "No lift, on the contrary")]
)
def test_arrival_times_are_told_honestly(write, play, fused, words):
    rows = job_of(play, "hazards")["tables"]["eta"]
    next(row for row in rows if row["source"] == "fused")["mae_s"] = fused
    assert words in words_of(read_page(write(play)))


def test_counts_that_were_held_back_leave_the_rates(play, cast):
    del job_of(play, "hazards")["tables"]["coalitions"]
    assert (
        "(Car maker), 23.8 % of dangerous encounters could not be seen 2 seconds ahead; with all data together, 7.1 %."
        in headline(play, cast).means.en
    )


def test_four_thousand_lanes_stay_below_three_megabytes(write, play):
    assert len(write(play, lanes=grid_of_lanes(4000)).encode()) < 3_000_000


def test_a_hot_spot_lies_where_its_coordinates_are_and_north_is_up(frame):
    sheet = cartography.sheet_over((0.0, 0.0, 1000.0, 1000.0))
    lat, lon = frame.to_wgs84(np.array([250.0]), np.array([900.0]))
    (spot,) = cartography.spots_of([{"lat": float(lat[0]), "lon": float(lon[0]), "n": 7}], frame)
    x, y = sheet.place(np.array([[spot.x, spot.y]]))[0]
    assert (round(spot.x, 3), round(spot.y, 3), spot.n) == (250.0, 900.0, 7)
    assert x < sheet.width / 2
    assert y < sheet.height / 2


@given(n=st.integers(1, 1000), most=st.integers(1, 1000))
def test_a_circles_area_grows_with_its_count(n, most):
    if n <= most and cartography.radius(n, most) > 4.0:
        assert cartography.radius(n, most) ** 2 / cartography.radius(most, most) ** 2 == pytest.approx(n / most)
    assert cartography.radius(n, max(n, most)) <= 26.0


def test_hot_spots_without_a_frame_are_listed_and_said_not_to_be_on_the_map(write, play):
    page = read_page(write(play, frame=None))
    assert "The hot-spots cannot be placed on this map; they are listed below." in words_of(page)
    assert len(table(page, "Hot-spots, by 100 m cell")) == len(job_of(play, "hazards")["tables"]["hotspots"])


def test_a_road_that_ends_where_it_began_stays_closed():
    sheet = cartography.Sheet(0.0, 100.0, 1.0, 100.0, 100.0)
    ring = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 0.01], [10.0, 10.0], [0.0, 0.0]])
    assert cartography._path(ring, sheet, close=False) == "M0 100L10 100L10 90L0 100"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
def test_names_beside_lines_never_overlap_and_keep_their_order(heights):
    placed = charts.spread(heights, gap=10, low=0, high=100)
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    gaps = [placed[after] - placed[before] for before, after in pairwise(order)]
    assert all(gap >= 10 - 1e-9 for gap in gaps)
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in placed)


def test_many_encounters_share_a_dot_and_the_number_is_told():
    figure, each = charts.dots(((900, "plain"), (300, "main")), label_id="x")
    assert each == 2
    assert (figure.text.count('class="plain"'), figure.text.count('class="main"')) == (450, 150)


def test_markup_is_escaped_where_it_is_built_and_not_twice():
    inner = element("b", {"title": '"&'}, "<i>")
    assert element("p", {}, inner, Text("a<", "b>")).text == (
        '<p><b title="&quot;&amp;">&lt;i&gt;</b><span lang="en">a&lt;</span><span lang="zh">b&gt;</span></p>'
    )
    assert both(None).text == "—"


def test_sentences_of_unequal_length_lose_none():
    assert sentences({"en": ["a", "b"], "zh": "甲"}) == [Text("a", "甲"), Text("b", "b")]
    assert sentences(None) == []


def test_the_sample_says_that_it_is_test_data(play):
    assert play["run"]["label"] == {"en": "test data, not a result", "zh": "测试数据，非真实结果"}
    assert json.loads(json.dumps(play)) == play


def test_a_reason_may_be_a_sentence_an_error_or_a_refusal():
    error = {
        side: {"kind": "Invalid", "code": "x", "message": f"expected {side}", "hint": f"mend {side}", "facts": {}} for side in ("en", "zh")
    }
    refusal = {side: {"rule": "r", "message": f"not {side}", "would_pass": f"this {side}", "facts": {}} for side in ("en", "zh")}
    assert reasons(error) == [Text("expected en", "expected zh"), Text("mend en", "mend zh")]
    assert reasons(refusal) == [Text("not en", "not zh"), Text("this en", "this zh")]
    assert reasons({"en": "silent", "zh": "无应答"}) == [Text("silent", "无应答")]
    assert reasons(None) == []


def test_a_product_that_was_set_aside_says_why(write, play):
    play["products"][1] |= {
        "state": "set-aside",
        "findings": [],
        "reason": {"en": {"message": "row 7: expected m/s", "hint": "Convert."}, "zh": {"message": "第 7 行", "hint": "请换算。"}},
    }
    page = read_page(write(play))
    row = next(row for row in table(page, "The data products") if row[0] == "av_objects")
    assert row[4:6] == ["set aside", "row 7: expected m/sConvert."]


@pytest.mark.parametrize(
    ("permit", "words"),
    [
        ({"permit": "p-1", "state": "ACTIVE", "digest": "ab12"}, "Permit p-1 (ab12): in force."),
        ({"permit": "p-1", "state": "REFUSED", "reason": {"en": {"message": "expired"}, "zh": {"message": "过期"}}}, "refused. expired"),
    ],
)
def test_the_permits_own_standing_is_shown(write, play, permit, words):
    play["permit"] = permit
    assert words in words_of(read_page(write(play)))


def test_a_failed_job_says_how_it_failed(write, play):
    job_of(play, "hazards").update({"state": "FAILED", "tables": {}, "notes": ["peer.silent: expected an answer, got none"]})
    assert "(state: failed) released no table “multiplier”. peer.silent: expected an answer, got none" in words_of(read_page(write(play)))


def test_a_zone_named_in_both_languages_at_once_is_shown_in_each(frame):
    ring = [[[13.5, 52.4], [13.6, 52.4], [13.6, 52.5], [13.5, 52.4]]]
    feature = {"properties": {"name": "East zone · 东区"}, "geometry": {"type": "Polygon", "coordinates": ring}}
    (zone,) = cartography.zones_of({"features": [feature]}, frame)
    assert zone.name == Text("East zone", "东区")
