"""Units: what is valid, what is padding, and what is missing."""

import pytest
import torch
from jaxtyping import TypeCheckError
from some_units import some_units

from multimodal_ssl.model.units import Units


def test_one_vector_each_is_one_unit_each():
    units = Units.one(torch.randn(3, 4))
    assert units.vectors.shape == (3, 1, 4)
    assert units.valid.all()
    assert not units.missing.any()


def test_an_item_without_own_units_is_missing():
    units = some_units(0, items=3, places=4, missing=(1,))
    assert units.missing.tolist() == [False, True, False]
    assert units.num_valid[1] == 1  # what a mean divides by


def test_rows_take_vectors_and_flags_alike():
    units, rows = some_units(0, items=5, places=3), torch.tensor([4, 0])
    assert len(units) == 5
    assert torch.equal(units[rows].vectors, units.vectors[rows])
    assert torch.equal(units[rows].valid, units.valid[rows])


def test_a_slice_of_items_copies_nothing():
    units = some_units(0, items=5, places=3)
    assert units[1:3].vectors.data_ptr() == units.vectors[1].data_ptr()


def test_trimming_drops_the_places_that_are_padding_for_all():
    valid = torch.tensor([[True, False, False, False], [False, False, True, False]])
    units = Units(torch.arange(8.0).reshape(2, 4, 1), valid).trimmed()
    assert units.vectors[..., 0].tolist() == [[0, 2], [4, 6]]
    assert units.valid.tolist() == [[True, False], [False, True]]


def test_trimming_leaves_a_place_where_everything_is_missing():
    units = some_units(0, items=2, places=3, missing=(0, 1)).trimmed()
    assert units.valid.tolist() == [[False], [False]]


def test_flags_of_another_shape_are_refused():
    """Shape annotations, which tests execute, speak before the error that users see."""
    with pytest.raises((ValueError, TypeCheckError), match=r"flags \(2, 4\)|valid"):
        Units(torch.zeros(2, 3, 4), torch.ones(2, 4, dtype=torch.bool))
