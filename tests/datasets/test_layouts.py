"""Folders as they lie on disks: links, folders of servers, other endings, deeper classes, damaged files."""

import os

import numpy as np
import pytest

from skmetric.datasets import check_images, load_image_folder


@pytest.fixture
def make(tmp_path):
    """Make empty files below a folder: ``make("a/1.jpg", ...) -> folder``."""

    def touch(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return touch


def below(folder, found):
    return [os.path.relpath(path, folder) for path in found.data]


def reasons(folder, found):
    return {os.path.relpath(left.path, folder): left.reason for left in found.left_out}


def test_linked_folders_are_followed(make, tmp_path_factory):  # torchvision #1580, timm #334
    folder, elsewhere = make("a/1.jpg"), tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "2.jpg").touch()
    (folder / "a" / "more").symlink_to(elsewhere)
    (folder / "b").symlink_to(elsewhere)
    assert below(folder, load_image_folder(folder)) == ["a/1.jpg", "a/more/2.jpg", "b/2.jpg"]


def test_links_in_a_circle_and_to_nowhere_are_reported(make):
    folder = make("a/1.jpg")
    (folder / "a" / "up").symlink_to(folder)
    (folder / "a" / "gone.jpg").symlink_to(folder / "gone.jpg")
    found = load_image_folder(folder)
    assert below(folder, found) == ["a/1.jpg"]
    assert reasons(folder, found) == {
        "a/up": "a link that leads back to a folder above it",
        "a/gone.jpg": "a link that leads nowhere",
    }


@pytest.mark.parametrize("ending", ["avif", "jpe", "JPG", "jp2", "apng", "pnm"])
def test_endings_of_images(make, ending):
    assert len(load_image_folder(make(f"a/1.{ending}")).data) == 1


def test_whatever_is_left_out_is_reported(make):
    folder = make("a/1.jpg", "a/x.txt", "a/README", "@eaDir/2.jpg", "a/@eaDir/3.jpg", ".git/4.jpg", "5.jpg")
    assert reasons(folder, load_image_folder(folder)) == {
        "a/x.txt": "not an image by its ending, .txt",
        "a/README": "not an image: its name has no ending",
        "@eaDir": "made by a server or an operating system",
        "a/@eaDir": "made by a server or an operating system",
        ".git": "hidden",
        "5.jpg": "beside the class folders",
    }


def test_pictures_of_other_kinds_are_counted(make):
    with pytest.warns(UserWarning, match=r"left out: 2 \.heic, 1 \.nef\. Convert them") as caught:
        load_image_folder(make("a/1.jpg", "a/2.heic", "a/3.HEIC", "a/4.nef"))
    assert caught[0].filename == __file__


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
def test_pipes_are_left_out(make):
    folder = make("a/1.jpg")
    os.mkfifo(folder / "a" / "2.jpg")
    assert reasons(folder, load_image_folder(folder)) == {"a/2.jpg": "not a regular file"}


def test_a_flat_folder_names_the_line_that_searches_it(make):
    with pytest.raises(
        ValueError, match=r"has no folders: .*2 images .*SimilaritySearch\(.*glob\('\*\.jpg'\)"
    ):
        load_image_folder(make("1.jpg", "2.jpg"))


# Classes elsewhere than in the folders of the first level


FASHION = ["MEN/Denim/id_1/1.jpg", "MEN/Denim/id_2/1.jpg", "WOMEN/Tees/id_3/1.jpg", "WOMEN/Tops/id_4/1.jpg"]


def test_super_classes_are_not_taken_without_a_word(make):
    with pytest.warns(
        UserWarning, match=r"in 3 folders inside them, such as 'MEN/Denim'.*label_from=2"
    ) as caught:
        found = load_image_folder(make(*FASHION))
    assert found.target_names.tolist() == ["MEN", "WOMEN"]
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("label_from", "names"),
    [
        (1, ["MEN", "WOMEN"]),
        (2, ["MEN/Denim", "WOMEN/Tees", "WOMEN/Tops"]),
        (-1, ["MEN/Denim/id_1", "MEN/Denim/id_2", "WOMEN/Tees/id_3", "WOMEN/Tops/id_4"]),
        (-2, ["MEN/Denim", "WOMEN/Tees", "WOMEN/Tops"]),
        (lambda file: file.parts[2], ["id_1", "id_2", "id_3", "id_4"]),
    ],
)
def test_the_level_of_the_classes_may_be_chosen(make, label_from, names):
    found = load_image_folder(make(*FASHION), label_from=label_from)
    assert found.target_names.tolist() == names
    assert len(found.data) == len(found.target) == 4


def test_products_in_names_of_files(make):  # as Stanford Online Products: 12 folders, 22,634 classes
    files = [
        f"{kind}_final/{product}_{view}.JPG" for kind in "ab" for product in (1, 2, 3) for view in (0, 1)
    ]
    folder = make(*(file.replace("b_final/", "b_final/9") for file in files))
    with pytest.warns(UserWarning, match=r"named <number>_<view>, as in '1_0\.JPG'.*label_from=lambda"):
        load_image_folder(folder)
    found = load_image_folder(folder, label_from=lambda file: file.stem.split("_")[0])
    assert found.target_names.tolist() == ["1", "2", "3", "91", "92", "93"]
    assert found.target.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_images_above_the_level_are_reported(make):
    folder = make("MEN/1.jpg", *FASHION)
    found = load_image_folder(folder, label_from=2)
    assert reasons(folder, found) == {"MEN/1.jpg": "above level 2 of the folders"}


def test_images_without_so_many_folders_are_reported(make):  # they had the class of another level
    folder = make("MEN/1.jpg", *FASHION)
    found = load_image_folder(folder, label_from=-2)
    assert reasons(folder, found) == {"MEN/1.jpg": "in fewer than 2 folders"}
    with pytest.raises(ValueError, match="no images at level -5"):
        load_image_folder(folder, label_from=-5)


@pytest.mark.parametrize("label", ["a\0", ["a"]])
def test_what_is_no_single_label_is_refused(make, label):  # "a\0" became "a", a list its text
    with pytest.raises(ValueError, match=r"label_from gave .* for 'MEN.*: it must return one label"):
        load_image_folder(make(*FASHION), label_from=lambda file: label)


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_what_a_function_gives_no_label_is_no_class(make, nothing):  # "None" was one
    folder = make("MEN/1.jpg", *FASHION)
    found = load_image_folder(folder, label_from=lambda file: file.parts[2] if file.parts[3:] else nothing)
    assert found.target_names.tolist() == ["id_1", "id_2", "id_3", "id_4"]
    assert reasons(folder, found) == {"MEN/1.jpg": "label_from gave no label"}
    with pytest.raises(ValueError, match="no label to any of the 5 images"):
        load_image_folder(folder, label_from=lambda file: nothing)


@pytest.mark.parametrize("label_from", [0, True])
def test_levels_that_are_none(make, label_from):
    with pytest.raises(ValueError, match="levels are counted from 1"):
        load_image_folder(make("a/1.jpg"), label_from=label_from)


# Damaged files: torchvision #864


@pytest.fixture
def damaged(tmp_path, colour):
    """Folder with three classes of two images: one is cut, one is text, and of "c" none is sound."""
    image = pytest.importorskip("PIL.Image")
    for name in ["a/0.png", "a/1.png", "b/0.png", "b/1.png", "c/0.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.fromarray(colour[0]).save(tmp_path / name)
    os.truncate(tmp_path / "a/1.png", 300)
    (tmp_path / "b/0.png").write_text("no image")
    (tmp_path / "c/0.png").write_bytes(b"")
    return tmp_path


def test_work_goes_on_with_the_images_that_can_be_read(damaged):
    with pytest.warns(
        UserWarning, match=r"3 of 5 images cannot be read and are left out: .*a/1\.png"
    ) as caught:
        found = load_image_folder(damaged, check=True)
    assert caught[0].filename == __file__
    assert below(damaged, found) == ["a/0.png", "b/1.png"]
    assert found.target.tolist() == [0, 1]
    assert found.target_names.tolist() == ["a", "b"]
    assert sorted(reasons(damaged, found)) == ["a/1.png", "b/0.png", "c/0.png"]


def test_any_list_of_files_can_be_checked(damaged, tmp_path):
    files = np.array([str(damaged / name) for name in ("a/0.png", "a/1.png", "b/1.png", "gone.png")])
    with pytest.warns(UserWarning, match="2 of 4 images cannot be read"):
        checked = check_images(files, n_jobs=2)
    assert files[checked.rows].tolist() == files[[0, 2]].tolist()
    assert [left.path for left in checked.left_out] == files[[1, 3]].tolist()
    assert "no such file" in checked.left_out[1].reason


def test_nothing_is_opened_without_being_asked(damaged):
    assert len(load_image_folder(damaged).data) == 5


@pytest.mark.parametrize("label_from", ["x", 1.5])
def test_label_from_of_another_type(tmp_path, label_from):
    with pytest.raises(ValueError, match="is neither a function nor a level of folders"):
        load_image_folder(tmp_path, label_from=label_from)


def test_one_path_is_no_list_of_paths():
    with pytest.raises(ValueError, match=r"paths is one path, 'a\.jpg': pass a list"):
        check_images("a.jpg")


def test_files_of_an_array_are_named_as_they_are(tmp_path):
    path = str(tmp_path / "no.jpg")
    with pytest.warns(UserWarning, match="left out: '"):
        assert check_images(np.array([path])).left_out == [(path, f"{path!r}: no such file")]
