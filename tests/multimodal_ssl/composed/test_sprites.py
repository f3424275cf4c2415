"""Stamps are chosen by a rule, and their files are read as the package lays them out."""

import io

import numpy as np
import pytest
from PIL import Image

from common.data.media import MediaError
from multimodal_ssl.composed.sprites import Stamp, cut_out, objects, read

KNOWN = {"dog", "cat", "red", "flag", "one", "two", "three", "four", "floppy-eared", "bunny"}


def place(folder, stem, line, *endings, more=""):
    (folder / stem).parent.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.png").write_bytes(b"")
    if line is not None:
        (folder / f"{stem}.txt").write_text(f"{line}\n{more}", encoding="utf-8")
    for ending in endings:
        (folder / f"{stem}{ending}").write_bytes(b"")


def picture(path, alpha):
    drawn = np.full((*alpha.shape, 4), 200, np.uint8)
    drawn[..., 3] = alpha
    Image.fromarray(drawn).save(path)
    return path


def stamp(id_, name=None):
    return Stamp(id_, "a", name or id_.rpartition("/")[2], {}, {}, None)


def test_name_article_texts_and_sounds_are_read(tmp_path):
    place(
        tmp_path,
        "animals/dog",
        "A dog.",
        ".ogg",
        "_desc.ogg",
        "_desc_fr.ogg",
        "_desc_el.ogg",
        more="fr.utf8=Un chien.\n",
    )
    ((dog,), left_out) = read(tmp_path, KNOWN)
    assert (dog.id, dog.phrase, dog.category, dog.folder) == ("animals/dog", "a dog", "animals", "animals")
    assert dict(dog.texts) == {"en": "A dog.", "fr": "Un chien."}
    assert dog.recordings == ("animals/dog.ogg", "animals/dog_desc.ogg", "animals/dog_desc_fr.ogg")
    assert not left_out


@pytest.mark.parametrize(
    ("stem", "line", "reason"),
    [
        ("symbols/dog", "A dog.", "of symbols"),
        ("food/broccoli", "Eat your broccoli!", "no English name"),
        ("food/dog", None, "no English name"),
        ("food/dog", "", "no English name"),
        ("food/dog", "A 5 dog.", "no English name"),
        ("food/dog", "A one two three four.", "more than 3 words"),
        ("food/dog", "A red wug.", "word without a vector"),
    ],
)
def test_what_has_no_usable_name_is_left_out_with_a_reason(tmp_path, stem, line, reason):
    place(tmp_path, stem, line)
    kept, left_out = read(tmp_path, KNOWN)
    assert not kept
    assert [reason in told for told in left_out] == [True]


def test_a_hyphen_of_a_name_stays(tmp_path):
    place(tmp_path, "a/b", "A floppy-eared bunny.")
    assert read(tmp_path, KNOWN)[0][0].name == "floppy-eared bunny"


def test_of_two_stamps_with_one_name_neither_is_used(tmp_path):
    for stem, line in (("a/1", "A dog."), ("b/1", "The dog!"), ("b/2", "A cat.")):
        place(tmp_path, stem, line)
    kept, left_out = read(tmp_path, KNOWN)
    assert [one.name for one in kept] == ["cat"]
    assert left_out == {"name is another's too": 2}


def test_a_picture_is_cut_to_what_is_opaque_and_reduced(tmp_path):
    alpha = np.zeros((300, 400), np.uint8)
    alpha[20:276, 100:228] = 255
    assert cut_out(picture(tmp_path / "a.png", alpha)).shape == (128, 64, 4)


@pytest.mark.parametrize(
    ("height", "width", "reason"),
    [(0, 0, "nothing opaque"), (23, 40, "smaller than 24"), (30, 91, "3 times as long")],
)
def test_pictures_that_would_not_be_seen_are_left_out(tmp_path, height, width, reason):
    alpha = np.zeros((100, 100), np.uint8)
    alpha[:height, :width] = 255
    assert reason in cut_out(picture(tmp_path / "a.png", alpha))


def test_a_quarter_of_the_box_must_be_opaque(tmp_path):
    alpha = np.zeros((100, 100), np.uint8)
    alpha[0, 0] = alpha[99, 99] = 255
    alpha[:24, 50:] = 255
    assert "25 % opaque" in cut_out(picture(tmp_path / "a.png", alpha))
    alpha[:30] = 255
    assert cut_out(picture(tmp_path / "a.png", alpha)).shape == (100, 100, 4)


@pytest.mark.parametrize("kept", [0, 20, 60, 200])
def test_a_damaged_picture_is_named(tmp_path, kept):
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 4), np.uint8)
    Image.fromarray(noise).save(content, "png")
    (tmp_path / "a.png").write_bytes(content.getvalue()[:kept])
    with pytest.raises(MediaError, match=r"a\.png: "):
        cut_out(tmp_path / "a.png")


def test_of_near_twins_one_is_taken_and_fewer_are_the_first_of_more():
    names = ["dolphin", "dolphinfish", "red flag", "red car", "sheep", "sheep lamb", "cat", "catfish", "fort"]
    listed = [stamp(f"folder{i % 3}/{i}", name) for i, name in enumerate(names)]
    chosen = [one.name for one in objects(listed)]
    assert len(chosen) == 5
    assert len({name.split()[0][:3] for name in chosen}) == 5
    assert [one.name for one in objects(listed[::-1], 3)] == chosen[:3]


def test_folders_take_turns():
    listed = [stamp(f"birds/{name}") for name in ("crow", "lark", "owl")] + [
        stamp("tools/saw"),
        stamp("toys/top"),
    ]
    assert {one.folder for one in objects(listed, 3)} == {"birds", "tools", "toys"}


def test_more_objects_than_there_are_is_an_error_with_both_numbers():
    with pytest.raises(ValueError, match=r"there are 1 objects .* num = 2"):
        objects([stamp("a/dog")], 2)
