"""Pictures of attention: what is bright is what is attended to, and shares in a box are exact."""

import numpy as np
import pytest

from multimodal_ssl.evaluation import pictures


def test_attention_inside_the_box_is_counted_by_area():
    attended = np.zeros((1, 2, 2))
    attended[0, 0] = 0.5  # the upper half
    box = np.array([[0, 0, 4, 2]] * 2, np.int16)  # of 8 pixels: the upper half of the left quarter
    assert pictures.share_inside(attended, box, 8) == pytest.approx((0.25, 0.125))


def test_light_falls_where_it_is_attended_to_and_time_is_followed():
    frames = np.full((4, 8, 8, 3), 200, np.uint8)
    attended = np.zeros((2, 2, 2))
    attended[0, 0, 0] = attended[1, 1, 1] = 1.0
    lit = pictures.spotlit(frames, attended)
    assert lit[0, 0, 0, 0] == lit[3, 7, 7, 0] == 200
    assert lit[0, 7, 7, 0] == lit[3, 0, 0, 0] == round(200 * pictures.DARKEST)


def test_a_phrase_belongs_to_a_text_by_whole_words():
    maps = {
        name: np.full((1, 1, 1), value) for name, value in (("ox", 1.0), ("fox moving", 2.0), ("moving", 4.0))
    }
    assert pictures.mean_map(maps, "a fox moving left") == pytest.approx(3.0)
    assert pictures.mean_map(maps, "a dog") is None
