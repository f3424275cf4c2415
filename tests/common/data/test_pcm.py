"""16-bit samples and floats become one another by one rule."""

import numpy as np

from common.data.pcm import as_floats, levelled


def test_floats_are_samples_over_32768():
    found = as_floats(np.array([-32768, 0, 16384, 32767], np.int16))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([-1, 0, 0.5, 32767 / 32768], np.float32))


def test_the_loudest_sample_is_brought_to_the_peak_and_all_are_rounded():
    found = levelled(np.array([0.25, -0.5, 0.1], np.float32))
    np.testing.assert_array_equal(found, [14745, -29490, 5898])  # 0.9 * 32767 = 29490.3
    assert found.dtype == np.int16


def test_a_part_keeps_its_recordings_level_and_never_wraps_around():
    part = np.array([0.25, 0.6], np.float32)
    np.testing.assert_array_equal(levelled(part, peak=0.5), [14745, 32767])  # 35388 does not fit
    np.testing.assert_array_equal(levelled(-part, peak=0.5), [-14745, -32768])
