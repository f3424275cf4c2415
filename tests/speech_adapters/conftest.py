"""A folder of made-up recordings under a data root of its own."""

import pytest
from radio_files import SOURCE, forget, record


@pytest.fixture
def radio(tmp_path, monkeypatch):
    """A folder of a temporary data root."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    forget()
    yield tmp_path / "radio"
    forget()


@pytest.fixture
def recorded(radio):
    """Twenty recordings of a second, all for training, one of which is three times as long as the others."""
    for i in range(20):
        record(radio / f"all/{i:02d}.wav", 3.0 if i == 4 else 1.0)
    (radio / "none").mkdir()
    SOURCE.prepare()
    return radio
