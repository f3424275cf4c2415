"""A method is known by its looks in every figure, and axes say what they carry."""

import pytest

from common.report.figures import new_figure
from common.report.styles import FAINT, INK, Style, label, legend, method_styles, style_at, tidy


def test_every_method_has_looks_of_its_own_whatever_the_order():
    names = [f"m{i:02}" for i in range(70)]
    styles = method_styles(names)
    assert styles == method_styles(reversed(names))
    assert len(set(styles.values())) == 70


def test_variants_of_a_method_keep_its_colour_and_turn_the_marker():
    own, turned = style_at(2), style_at(2, 5)
    assert own.colour == turned.colour
    assert own.marker != turned.marker
    assert style_at(2, 9) == own


@pytest.mark.parametrize(("hollow", "rim", "face"), [(False, "white", "red"), (True, "red", "white")])
def test_a_marker_is_drawn_with_a_rim(hollow, rim, face):
    axes = new_figure(2, 2).subplots()
    (line,) = axes.plot([0], [0], **Style("red", "s").look(9, hollow=hollow))
    assert (line.get_marker(), line.get_markersize()) == ("s", 9)
    assert (line.get_markeredgecolor(), line.get_markerfacecolor()) == (rim, face)


def test_a_legend_has_the_words_and_looks_it_was_given():
    axes = new_figure(2, 2).subplots()
    legend(axes, [("ours", style_at(0).look()), ("chance", {"linewidth": 2.5, "color": FAINT})])
    found = axes.get_legend()
    assert [text.get_text() for text in found.get_texts()] == ["ours", "chance"]
    assert [line.get_linewidth() for line in found.get_lines()] == [1, 2.5]


def test_axes_carry_what_they_are_told_and_lines_to_read_heights_by_when_asked():
    one, two = new_figure(4, 2).subplots(1, 2)
    tidy(one)
    tidy(two, heights=True)
    assert [axes.yaxis.get_gridlines()[0].get_visible() for axes in (one, two)] == [False, True]
    label(one, x="steps", y="loss", title="here")
    label(one, x="steps", y="loss")
    assert (one.get_xlabel(), one.get_ylabel(), one.get_title("left")) == ("steps", "loss", "here")
    assert one.xaxis.label.get_color() == INK
