"""What several papers share of packages: each file is one that its package keeps, each thing is listed once."""

from common.data.pinned import STAMPS, photograph_packages, photographs, stamps


def test_every_photograph_is_a_file_that_its_package_keeps():
    kept = {f"{one.manager}:{one.name}": one.files for one in photograph_packages()}
    assert len(photographs()) == 37
    for photograph in photographs():
        assert photograph.path in kept[photograph.package]
    assert sum(map(len, kept.values())) >= 37


def test_no_photograph_is_listed_twice():
    for key in ("id", "sha256"):
        assert len({getattr(photograph, key) for photograph in photographs()}) == 37


def test_papers_that_keep_other_stamps_share_one_folder():
    one, other = stamps("*.txt"), stamps("*.png", "*.txt")
    assert one.folder == other.folder
    assert f"{STAMPS}/*.txt" in set(one.files) & set(other.files)
