"""What is left out of a person's files is told and listed whole; dev shares nothing with training."""

import pytest

from common.data.own_files import LeftOut, Prepared, by_hash, is_divided, tell, without_leaks


def left(count, reason="is silent", bad=False):
    return [LeftOut(f"{i}.wav", "", reason, bad) for i in range(count)]


def test_reasons_are_counted_the_first_named_and_all_listed(tmp_path, capsys):
    tell([*left(5), *left(1, "is too short: 3 s")], 50, tmp_path / "left-out.txt", what="recordings")
    said = "".join(capsys.readouterr())
    for told in (
        "left out, is silent: 5 of 50",
        "left out, is too short: 1 of 50",
        "6 of 50 recordings are left out",
    ):
        assert told in said
    assert (said.count("is silent\n"), said.count("3.wav")) == (3, 0)
    assert len((tmp_path / "left-out.txt").read_text().splitlines()) == 6


def test_a_listing_of_before_does_not_stay(tmp_path):
    (tmp_path / "left-out.txt").write_text("old")
    tell([], 50, tmp_path / "left-out.txt")
    assert not (tmp_path / "left-out.txt").exists()


def test_a_name_that_is_no_text_is_listed(tmp_path):
    tell([LeftOut("caf\udce9.wav", "", "is silent")], 5, tmp_path / "left-out.txt")
    assert (tmp_path / "left-out.txt").read_text() == "caf\\udce9.wav: is silent\n"


@pytest.mark.parametrize(("bad", "refused"), [(5, False), (6, True)])
def test_more_than_a_tenth_of_bad_ones_ends_the_command(bad, refused):
    if refused:
        with pytest.raises(ValueError, match=r"0\.wav"):
            tell(left(bad, bad=True), 50)
    else:
        tell(left(bad, bad=True), 50)


def test_what_is_trained_on_leaves_dev():
    lines = [
        {"id": "a", "part": "train", "sha256": "1"},
        {"id": "a", "part": "dev", "sha256": "2"},
        {"id": "b", "part": "dev", "sha256": "1"},
    ]
    assert [line["id"] for line in without_leaks(lines)] == ["a", "dev/a"]


@pytest.mark.parametrize(
    ("parts", "divided"), [(["train", "dev"], True), (["train", "train"], False), (["", "dev"], False)]
)
def test_parts_count_as_given_where_every_line_has_one_and_dev_some(parts, divided):
    assert is_divided([{"part": part} for part in parts]) == divided


def test_the_order_by_hash_is_that_of_the_names_alone():
    names = [f"{i}.wav" for i in range(20)]
    assert by_hash(names) == by_hash(reversed(names)) != names


# ---- what is prepared beside a run


def make(text):
    def write(stem):
        stem.with_suffix(".data").write_text(text)
        return {"content": text}

    return write


def fails(stem):
    stem.with_suffix(".data").write_text("half")
    raise ValueError("too few are left")


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.fixture
def kept(tmp_path):
    found = Prepared(tmp_path / "kept")
    found.prepare("a" * 64, make("one"))
    return found


def test_it_is_made_once_for_a_key_and_anew_for_another(kept):
    kept.prepare("a" * 64, fails)  # never called
    assert (kept.index["content"], kept.stem.with_suffix(".data").read_text()) == ("one", "one")
    kept.prepare("b" * 64, make("two"))
    assert (kept.index["content"], kept.stem.with_suffix(".data").read_text()) == ("two", "two")
    assert names(kept.folder) == ["bbbbbbbbbbbb.data", "bbbbbbbbbbbb.sealed.json", "index.json"]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_what_was_there_stays_where_the_new_cannot_be_made(kept, fault):
    def fails(stem):
        stem.with_suffix(".data").write_text("half")
        raise fault

    before = {path: path.read_bytes() for path in kept.folder.iterdir()}
    with pytest.raises(fault):
        kept.prepare("b" * 64, fails)
    assert {path: path.read_bytes() for path in kept.folder.iterdir()} == before
    kept.prepare("a" * 64, fails)  # never called


@pytest.mark.parametrize("damage", ["cut", "altered", "gone", "unsealed"])
def test_what_is_no_longer_whole_is_said_and_made_again(kept, damage, capsys):
    data = kept.stem.with_suffix(".data")
    {"cut": lambda: data.write_text("o"), "altered": lambda: data.write_text("two"), "gone": data.unlink,
     "unsealed": (kept.folder / "aaaaaaaaaaaa.sealed.json").unlink}[damage]()  # fmt: skip
    kept.prepare("a" * 64, make("one"))
    assert "is not whole and is made again" in "".join(capsys.readouterr())
    assert data.read_text() == "one"


def test_nothing_prepared_says_so(tmp_path):
    with pytest.raises(ValueError, match="holds nothing that was prepared"):
        _ = Prepared(tmp_path).index
