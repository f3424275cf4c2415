"""Vectors in 8 bits are near enough that the best stay the best."""

import numpy as np
import pytest

from multimodal_ssl.search.vectors import packed, size_of, unpacked

SHAPE = (98, 128)


def _units(num, seed=0):
    units = np.random.default_rng(seed).standard_normal((num, *SHAPE), np.float32)
    return units / np.linalg.norm(units, axis=2, keepdims=True)


def test_eight_bits_lose_half_a_hundredth_of_a_vector_at_most():
    units = _units(20)
    kept = b"".join(packed(each, 8) for each in units)
    assert len(kept) == 20 * size_of(SHAPE, 8) == 20 * 98 * 130
    lost = np.linalg.norm(unpacked(kept, 20, SHAPE, 8) - units, axis=2)
    assert lost.max() < 0.01
    assert lost.mean() < 0.008


def test_known_numbers_come_back():
    units = np.array([[127.0, -63.5, 0.0], [0.0, 0.0, 0.0], [0.5, 0.25, -0.5]], np.float32)
    kept = packed(units, 8)
    assert kept[:9] == np.array([127, -64, 0, 0, 0, 0, 127, 64, -127], np.int8).tobytes()
    np.testing.assert_allclose(
        unpacked(kept, 1, (3, 3), 8)[0], [[127, -64, 0], [0, 0, 0], [0.5, 0.252, -0.5]], atol=1e-3
    )


def test_the_ten_best_windows_stay_the_ten_best():
    units, asked = _units(300), _units(1, seed=1)[0, :5]
    near = unpacked(b"".join(packed(each, 8) for each in units), 300, SHAPE, 8)
    exact, ours = ((each @ asked.T).max(axis=1).mean(axis=1) for each in (units, near))
    assert np.abs(exact - ours).max() < 2e-3
    assert len({*np.argsort(-exact)[:10]} & {*np.argsort(-ours)[:10]}) >= 9


def test_shares_of_classes_lose_a_254th_of_the_largest_at_most():
    logits = np.random.default_rng(0).standard_normal((400, 1000)).astype(np.float32) * 4
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[shares < 1e-3] = 0  # sparse
    near = unpacked(packed(shares, 8), 1, shares.shape, 8)[0]
    largest = shares.max(axis=1)
    lost = np.abs(near - shares).max(axis=1) / largest
    rounded = 1 + 2**-11  # the scale's 16 bits
    assert 1 / 300 < lost.max() <= rounded / 254
    lengths = np.linalg.norm(near - shares, axis=1)
    assert (lengths <= rounded / 254 * largest * np.sqrt((shares > 0).sum(axis=1))).all()
    assert (
        lengths / np.linalg.norm(shares, axis=1)
    ).max() > 0.01  # that bound is of unit vectors without zeros
    assert not near[shares == 0].any()


def test_sixteen_bits_are_floats_of_sixteen_bits():
    units = _units(3)
    kept = b"".join(packed(each, 16) for each in units)
    assert len(kept) == 3 * size_of(SHAPE, 16)
    assert np.array_equal(unpacked(kept, 3, SHAPE, 16), units.astype(np.float16).astype(np.float32))


def test_a_file_that_was_cut_off_is_refused():
    with pytest.raises(ValueError, match="reshape"):
        unpacked(packed(_units(1)[0], 8)[:-1], 1, SHAPE, 8)
