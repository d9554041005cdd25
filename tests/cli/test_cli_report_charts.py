import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalltext_cli.charts import (
    MAX_BARS,
    accuracy_chart,
    class_scores_chart,
    confidence_histogram,
    confusion_heatmap,
    decisions_chart,
    lowest_f1_first,
    reliability_diagram,
)
from smalltext_cli.diagnostics import most_confused_classes, top_confusions
from smalltext_cli.metrics import ClassScores, reliability_bins
from smalltext_cli.svg import Scale, chart, element, nice_ticks, shorten, text_width

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture):
    return ET.fromstring(str(picture))


def written(picture):
    return [text.text for text in parsed(picture).iter(f"{SVG}text")]


def some_scores(f1, support=10, predicted=10):
    return ClassScores(precision=f1, recall=f1, f1=f1, support=support, predicted=predicted)


def test_an_element_escapes_text_and_attributes():
    assert str(element("text", "<b>", x='"')) == '<text x="&#34;">&lt;b&gt;</text>'


def test_an_element_leaves_out_attributes_that_are_none():
    assert str(element("line", x1=1, x2=None)) == '<line x1="1"></line>'


def test_a_chart_has_a_text_alternative():
    root = parsed(chart("key", "A title", "What it shows", (100, 50)))

    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "key-title key-desc"
    assert root.find(f"{SVG}title[@id='key-title']").text == "A title"
    assert root.find(f"{SVG}desc[@id='key-desc']").text == "What it shows"


@given(st.text(max_size=80), st.floats(20, 300))
def test_a_shortened_name_fits_its_room(text, room):
    assert text_width(shorten(text, room, 12.0), 12.0) <= max(room, 24.0)


def test_a_name_that_fits_is_left_alone():
    assert shorten("business", 200.0, 12.0) == "business"


def test_a_name_is_not_cut_between_a_letter_and_its_mark():
    text = "e\u0301" * 40

    assert not re.search("e…$", shorten(text, 60.0, 12.0))


def test_chinese_letters_take_more_room_than_latin_ones():
    assert text_width("新闻", 12.0) > text_width("ab", 12.0)


@given(st.integers(1, 10**9))
def test_ticks_are_few_round_and_begin_at_zero(highest):
    ticks = nice_ticks(highest)

    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 6
    assert ticks[-1] <= highest
    assert re.fullmatch("[125]0*", str(ticks[1]))


def test_a_scale_may_run_upwards_on_the_screen():
    assert Scale(0, 1, 350, 50)(0.5) == 200


def test_the_heat_map_writes_every_count_and_marks_zeros_with_a_dot():
    texts = written(confusion_heatmap(np.array([[5, 2], [0, 7]]), ["ham", "spam"], np.array([7, 7])))

    assert texts[-4:] == ["5", "2", "·", "7"]


def test_the_heat_map_tells_right_from_wrong_and_shades_by_the_share_of_the_row():
    root = parsed(confusion_heatmap(np.array([[5, 5], [0, 1]]), ["ham", "spam"], np.array([10, 1])))

    shades = [(box.get("class"), box.get("fill-opacity")) for box in root.iter(f"{SVG}rect")]
    assert [shade for shade in shades if shade[1]] == [("right", "0.56"), ("wrong", "0.56"), ("right", "1")]


def test_the_most_frequent_confusions_come_first_and_zeros_not_at_all():
    matrix = np.array([[9, 1, 0], [4, 5, 0], [0, 2, 0]])

    found = top_confusions(matrix, ["a", "b", "c"])

    assert [(one.truth, one.predicted, one.count) for one in found] == [
        ("b", "a", 4),
        ("c", "b", 2),
        ("a", "b", 1),
    ]
    assert found[0].share == pytest.approx(4 / 9)


def test_the_most_confused_classes_stay_in_the_order_of_their_numbers():
    matrix = np.diag([5, 5, 5, 5])
    matrix[3, 1] = 4

    assert most_confused_classes(matrix, 2) == [1, 3]


def test_the_reliability_diagram_has_a_dot_for_each_bin_that_is_not_empty():
    bins = reliability_bins(np.array([0.1, 0.5, 0.95]), np.array([False, True, True]))

    root = parsed(reliability_diagram(bins, 0.25, multi_label=False))

    assert len(root.findall(f".//{SVG}circle")) == 3
    assert root.find(f".//{SVG}tspan[@id='reliability-ece']").text == "0.250"


def test_the_histogram_stacks_right_and_wrong_to_the_count():
    bins = reliability_bins(np.full(4, 0.9), np.array([True, True, True, False]))

    root = parsed(confidence_histogram(bins, multi_label=False))

    heights = {box.get("class"): float(box.get("height")) for box in root.iter(f"{SVG}rect")}
    assert heights["bar right"] == pytest.approx(3 * heights["bar wrong"], abs=0.02)
    assert "4" in written(confidence_histogram(bins, multi_label=False))


def test_bars_stand_in_the_order_of_f1_and_leave_out_classes_that_do_not_occur():
    per_class = [some_scores(0.9), some_scores(0.0, support=0, predicted=0), some_scores(0.2)]

    assert lowest_f1_first(per_class) == [2, 0]


def test_bars_are_as_long_as_their_values():
    root = parsed(class_scores_chart([some_scores(0.5), some_scores(1.0)], ["a", "b"]))

    widths = [float(box.get("width")) for box in root.iter(f"{SVG}rect")]
    assert widths[3] == pytest.approx(2 * widths[0], abs=0.02)
    assert len(widths) == 6


def test_a_picture_of_very_many_classes_shows_the_weakest():
    per_class = [some_scores(k / 500) for k in range(500)]

    root = parsed(class_scores_chart(per_class, [f"class {k}" for k in range(500)]))

    assert len(root.findall(f".//{SVG}rect")) == 3 * MAX_BARS


def test_outcomes_are_drawn_to_scale():
    cells = np.array([[[80, 5], [10, 5]]])

    root = parsed(decisions_chart(cells, [some_scores(0.4)], ["a"]))

    widths = {box.get("class"): float(box.get("width")) for box in root.iter(f"{SVG}rect")}
    assert widths["outcome missed"] == pytest.approx(2 * widths["outcome found"], abs=0.02)
    assert widths["outcome false-alarms"] == pytest.approx(widths["outcome found"], abs=0.02)


def test_a_problem_where_no_class_occurs_still_has_its_pictures():
    nothing = [some_scores(0.0, support=0, predicted=0)]

    assert parsed(class_scores_chart(nothing, ["a"])) is not None
    assert parsed(decisions_chart(np.array([[[3, 0], [0, 0]]]), nothing, ["a"])) is not None


def test_the_accuracy_line_says_its_interval_and_what_guessing_reaches():
    picture = parsed(accuracy_chart(0.9, (0.85, 0.94), 0.25))

    description = picture.find(f"{SVG}desc").text
    assert "90.0%" in description
    assert "85.0% to 94.0%" in description
    assert "25.0%" in description


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", '"quoted"', "رياضة", "政治", "\u202eevil"])
def test_untrusted_names_stay_text_in_every_chart(name):
    matrix, scores = np.array([[3, 1], [1, 3]]), [some_scores(0.7), some_scores(0.8)]

    for picture in (
        confusion_heatmap(matrix, [name, "other"], np.array([4, 4])),
        class_scores_chart(scores, [name, "other"]),
        decisions_chart(np.array([[[1, 1], [1, 1]]] * 2), scores, [name, "other"]),
    ):
        titles = [title.text for title in parsed(picture).iter(f"{SVG}title")]
        assert any(name in title for title in titles)
        assert not list(parsed(picture).iter(f"{SVG}script"))
