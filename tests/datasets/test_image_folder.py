import pytest

from skmetric.datasets import load_image_folder


@pytest.fixture
def folder(tmp_path):
    for name in ["b/2.JPG", "b/10.jpeg", "a/deep/er/1.png", "a/0.webp", "c/x.tif"]:
        _touch(tmp_path / name)
    for name in ["b/notes.txt", "b/.2.jpg", "a/.cache/3.png", ".git/4.png", "loose.png"]:
        _touch(tmp_path / name)
    return tmp_path


def _touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_images_of_each_class_in_order(folder):
    found = load_image_folder(folder)
    names = ["a/0.webp", "a/deep/er/1.png", "b/10.jpeg", "b/2.JPG", "c/x.tif"]
    assert found.data.tolist() == [str(folder / name) for name in names]
    assert found.target.tolist() == [0, 0, 1, 1, 2]
    assert found.target_names.tolist() == ["a", "b", "c"]


def test_str_and_path_give_the_same(folder):
    assert load_image_folder(str(folder)).data.tolist() == load_image_folder(folder).data.tolist()


def test_a_directory_named_like_an_image_is_none(folder):
    (folder / "c" / "odd.png").mkdir()
    assert len(load_image_folder(folder).data) == 5


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*nowhere"):
        load_image_folder(tmp_path / "nowhere")


def test_file_instead_of_a_folder(folder):
    with pytest.raises(NotADirectoryError, match=r"loose\.png' is a file"):
        load_image_folder(folder / "loose.png")


def test_images_without_class_folders(tmp_path):
    _touch(tmp_path / "1.png")
    with pytest.raises(ValueError, match="has no folders: one for each class"):
        load_image_folder(tmp_path)


def test_class_without_images(folder):
    _touch(folder / "d" / "readme.md")
    (folder / "e").mkdir()
    with pytest.raises(ValueError, match=r"class folders \['d', 'e'\].*images end in .*\.png"):
        load_image_folder(folder)


def test_neither_torch_nor_pillow_is_imported(process_without_torch, folder):
    code = (
        "import sys; from skmetric.datasets import load_image_folder; load_image_folder(sys.argv[1]); "
        "assert not {'torch', 'PIL'} & set(sys.modules)"
    )
    process_without_torch.run(code, folder)
