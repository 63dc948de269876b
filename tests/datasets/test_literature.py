"""Sets of the literature, on miniature copies of their layouts, with empty files: no image is opened."""

import os
import shutil

import numpy as np
import pytest
from scipy.io import savemat

from skmetric import datasets


def write(folder, *, lists=(), images=()):
    for name, text in dict(lists).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def cub(folder):
    files = [f"{c:03}.Bird{c}/B_{i}.jpg" for c in (1, 2, 3, 4) for i in (7, 3)]
    lists = {
        "classes.txt": "".join(f"{c} {c:03}.Bird{c}\n" for c in (1, 2, 3, 4)),
        "images.txt": "".join(f"{i + 1} {file}\n" for i, file in enumerate(files)),
        "image_class_labels.txt": "".join(f"{i + 1} {i // 2 + 1}\n" for i in range(8)),
    }
    write(folder, lists=lists, images=[f"images/{file}" for file in files])
    return datasets.load_cub200, files


def annotations(name, files, classes):
    fields = {"bbox_x1": 1, "class": 0, name: ""}
    rows = np.zeros((1, len(files)), dtype=[(field, object) for field in fields])
    rows[name], rows["class"], rows["bbox_x1"] = [files], [classes], 1
    return {"annotations": rows}


NAMES = {"class_names": np.array([["Audi", "BMW", "Fiat", "Honda"]], dtype=object)}


def cars(folder):
    files = [f"car_ims/{i:06}.jpg" for i in range(1, 9)]
    write(folder, images=files)
    savemat(
        folder / "cars_annos.mat", annotations("relative_im_path", files, [1, 1, 2, 2, 3, 3, 4, 4]) | NAMES
    )
    return datasets.load_cars196, files


def cars_in_two_archives(folder):
    files = [f"{i:05}.jpg" for i in range(1, 5)]
    write(folder, images=[f"cars_{part}/{file}" for part in ("train", "test") for file in files])
    (folder / "devkit").mkdir()
    savemat(folder / "devkit/cars_meta.mat", NAMES)
    savemat(folder / "devkit/cars_train_annos.mat", annotations("fname", files, [1, 2, 3, 4]))
    savemat(folder / "cars_test_annos_withlabels.mat", annotations("fname", files, [4, 3, 2, 1]))
    return datasets.load_cars196, files


def products(folder):
    header = "image_id class_id super_class_id path\n"
    train = [f"bicycle_final/11_{i}.JPG" for i in range(2)] + [f"lamp_final/12_{i}.JPG" for i in range(2)]
    test = [f"lamp_final/13_{i}.JPG" for i in range(2)]
    lists = {
        "Ebay_train.txt": header + "".join(f"{i} {9 + i // 2} 1 {file}\n" for i, file in enumerate(train)),
        "Ebay_test.txt": header + "".join(f"{i} 100 6 {file}\n" for i, file in enumerate(test)),
    }
    write(folder, lists=lists, images=train + test)
    return datasets.load_stanford_online_products, train + test


def clothes(folder):
    rows = [("WOMEN/Tees", 1, "train"), ("MEN/Denim", 2, "query"), ("MEN/Denim", 2, "gallery")]
    files = [f"img/{kind}/id_{item:08}/0{i}_front.jpg" for i, (kind, item, _) in enumerate(rows)]
    lines = [f"{file} id_{row[1]:08} {row[2]}\n" for file, row in zip(files, rows, strict=True)]
    text = f"{len(rows)}\nimage_name item_id evaluation_status\n" + "".join(lines)
    write(folder, lists={"Eval/list_eval_partition.txt": text}, images=[f"Img/{file}" for file in files])
    return datasets.load_in_shop, files


def species(folder):
    train = [f"train_val2018/Aves/{c}/{i}.jpg" for c in (20, 3) for i in "ab"]
    test = ["train_val2018/Plantae/7477/c.jpg"]
    lists = {
        f"Inat_dataset_splits/Inaturalist_{part}_set1.txt": "\n".join(files) + "\n"
        for part, files in (("train", train), ("test", test))
    }
    write(folder, lists=lists, images=train + test)
    return datasets.load_inaturalist2018, train + test


def people(folder):
    images = [
        "bounding_box_train/0002_c1s1_000451_03.jpg",
        "bounding_box_test/-1_c3s2_000001_00.jpg",
        "bounding_box_test/0000_c4s1_000002_01.jpg",
        "bounding_box_test/0001_c1s1_001051_03.jpg",
        "bounding_box_test/0001_c6s3_001051_04.jpg",
        "query/0001_c1s1_001051_00.jpg",
    ]
    write(folder, images=[*images, "query/Thumbs.db"])
    return datasets.load_market1501, images


def faces(folder):
    images = [f"lfw/{name}/{name}_000{i}.jpg" for name in ("Ann_Lee", "Bo", "Cy") for i in (1, 2)]
    pairs = "2\t1\nAnn_Lee\t1\t2\nBo\t1\tCy\t2\nCy\t2\t1\nBo\t2\tAnn_Lee\t1\n"
    write(
        folder, lists={"pairs.txt": pairs, "pairsDevTrain.txt": "1\nBo\t1\t2\nBo\t1\tCy\t1\n"}, images=images
    )
    return datasets.load_lfw_pairs, images


def characters(folder):
    images = [f"images_background/Greek/character0{c}/000{c}_0{d}.png" for c in (1, 2) for d in (1, 2)]
    images += [f"images_evaluation/Angelic/character01/0965_{d}.png" for d in (10, 20)]
    runs = [f"all_runs/run01/{kind}/{name}{i:02}.png" for kind, name in SHOWN for i in (1, 2)]
    labels = "".join(f"run01/test/item0{i}.png run01/training/class0{3 - i}.png\n" for i in (1, 2))
    write(folder, lists={"all_runs/run01/class_labels.txt": labels}, images=images + runs)
    return datasets.load_omniglot, images


SHOWN = [("test", "item"), ("training", "class")]
SETS = [cub, cars, cars_in_two_archives, products, clothes, species, people, faces, characters]
any_set = pytest.mark.parametrize("make", SETS)


def below(folder, found):
    return [os.path.relpath(path, folder) for path in found]


@any_set
def test_every_image_has_a_path_a_class_and_a_part(make, tmp_path):
    load, _ = make(tmp_path)
    found = load(str(tmp_path))
    assert all(map(os.path.isfile, found.data))
    assert found.target.max() + 1 == len(found.target_names) == len(set(found.target))
    assert len(found.data) == len(found.target) == len(found.split)
    assert f"This copy: {len(found.data)} images of {len(found.target_names)} classes" in found.DESCR


@any_set
def test_no_class_is_trained_on_and_searched(make, tmp_path):
    found = make(tmp_path)[0](tmp_path)
    trained = np.isin(found.split, ["train", "background"])
    assert not set(found.target[trained]) & set(found.target[~trained])


@any_set
def test_a_renamed_image_is_named_with_the_layout(make, tmp_path):
    load, files = make(tmp_path)
    image = max(file for file in tmp_path.rglob("*") if str(file).endswith(files[0]))
    image.rename(image.with_name("renamed.gif"))
    with pytest.raises((FileNotFoundError, ValueError), match=r"Expected layout:\n") as caught:
        load(tmp_path)
    assert "renamed.gif" in str(caught.value)


@any_set
def test_a_folder_that_holds_something_else_shows_what_it_has(make, tmp_path):
    load, _ = make(tmp_path / "set")
    (tmp_path / "other" / "holiday").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"'holiday'\nExpected layout:"):
        load(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="no such folder: 'nowhere'\nExpected layout:"):
        load("nowhere")


@any_set
def test_a_missing_list_or_folder_is_named(make, tmp_path):
    load, _ = make(tmp_path)
    for place in sorted(tmp_path.iterdir()):
        if place.name in ("all_runs", "pairsDevTrain.txt"):  # which are not always needed
            continue
        place.rename(tmp_path.parent / "away")
        with pytest.raises((FileNotFoundError, ValueError), match="Expected layout:"):
            load(tmp_path)
        (tmp_path.parent / "away").rename(place)


def test_cub_splits_the_classes_in_the_middle(tmp_path):
    cub(tmp_path / "CUB_200_2011")
    found = datasets.load_cub200(tmp_path)  # the folder that holds the set
    assert found.target.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found.split.tolist() == ["train"] * 4 + ["test"] * 4
    assert found.target_names[0] == "001.Bird1"


def test_cars_of_two_archives_are_split_by_class(tmp_path):
    cars_in_two_archives(tmp_path)
    found = datasets.load_cars196(tmp_path)
    assert found.target_names[found.target].tolist() == [
        *("Audi", "BMW", "Fiat", "Honda"),
        *("Honda", "Fiat", "BMW", "Audi"),
    ]
    assert found.split.tolist() == ["train", "train", "test", "test", "test", "test", "train", "train"]


def test_cars_without_the_labels_of_the_test_part(tmp_path):
    cars_in_two_archives(tmp_path)
    savemat(tmp_path / "cars_test_annos_withlabels.mat", annotations("name", ["1.jpg"], [1]))
    with pytest.raises(ValueError, match="have no 'fname'"):
        datasets.load_cars196(tmp_path)
    (tmp_path / "cars_test_annos_withlabels.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(ValueError, match="cannot be read as a MATLAB file"):
        datasets.load_cars196(tmp_path)


def test_products_keep_their_numbers_and_kinds(tmp_path):
    products(tmp_path)
    found = datasets.load_stanford_online_products(tmp_path)
    assert found.target_names.tolist() == ["9", "10", "100"]  # in the order of numbers
    assert found.super_category.tolist() == ["bicycle", "bicycle", "lamp", "lamp", "lamp", "lamp"]


def test_clothes_have_queries_and_a_gallery(tmp_path):
    clothes(tmp_path)
    found = datasets.load_in_shop(tmp_path)
    assert found.split.tolist() == ["train", "query", "gallery"]
    assert found.super_category.tolist() == ["WOMEN/Tees", "MEN/Denim", "MEN/Denim"]
    shutil.move(tmp_path / "Img/img", tmp_path / "img")
    assert below(tmp_path, datasets.load_in_shop(tmp_path).data)[0].startswith("img/WOMEN")


def test_species_are_folders(tmp_path):
    species(tmp_path)
    found = datasets.load_inaturalist2018(tmp_path)
    assert found.target_names.tolist() == ["Aves/20", "Aves/3", "Plantae/7477"]
    assert found.split.tolist() == ["train"] * 4 + ["test"]


def test_cameras_are_groups_and_junk_is_left_out(tmp_path):
    people(tmp_path)
    found = datasets.load_market1501(tmp_path)
    assert found.target_names[found.target].tolist() == ["0002", "0001", "0000", "0001", "0001"]
    assert found.split.tolist() == ["train", "query", "gallery", "gallery", "gallery"]
    assert found.groups.tolist() == [1, 1, 4, 1, 6]
    assert below(tmp_path, found.left_out) == ["bounding_box_test/-1_c3s2_000001_00.jpg"]


def test_pairs_of_faces_by_hand(tmp_path):
    faces(tmp_path)
    found = datasets.load_lfw_pairs(tmp_path)  # rows: Ann_Lee 0 1, Bo 2 3, Cy 4 5
    assert found.pairs.tolist() == [[0, 1], [2, 5], [5, 4], [3, 0]]
    assert found.y_pairs.tolist() == [1, -1, 1, -1]
    assert found.fold.tolist() == [0, 0, 1, 1]
    assert datasets.load_lfw_pairs(tmp_path, "train").pairs.tolist() == [[2, 3], [2, 4]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("2\t1\nBo\t1\t2\n", "lists 1 pairs"),
        ("1\t1\nBo\t1\t2\nBo\t1\t2\n", "line 3 .* two names, each with a number"),
        ("1\t1\nBo\t1\t9\nBo\t1\tCy\t1\n", "has no 'Bo/Bo_0009.jpg'"),
        ("ten\t1\n", "has 'ten' as a number of pairs"),
    ],
)
def test_pairs_that_are_not_as_published(tmp_path, text, complaint):
    faces(tmp_path)
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=complaint):
        datasets.load_lfw_pairs(tmp_path)
    with pytest.raises(ValueError, match="subset is 'all', and must be one of '10_folds'"):
        datasets.load_lfw_pairs(tmp_path, "all")


def test_characters_drawers_and_runs(tmp_path):
    characters(tmp_path)
    found = datasets.load_omniglot(tmp_path)
    assert found.target_names.tolist() == ["Angelic/character01", "Greek/character01", "Greek/character02"]
    assert found.drawer.tolist() == [1, 2, 1, 2, 10, 20]
    assert found.alphabet.tolist() == ["Greek"] * 4 + ["Angelic"] * 2
    assert found.runs.answers.tolist() == [[1, 0]]
    assert below(tmp_path, found.runs.examples[0])[0] == "all_runs/run01/training/class01.png"
    shutil.rmtree(tmp_path / "all_runs")
    assert datasets.load_omniglot(tmp_path).runs is None


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("images.txt", "1 a b\n", "line 1 of .*images.txt' is '1 a b', and 'image_id path' is expected"),
        ("images.txt", "", "images.txt' is empty"),
        (
            "images.txt",
            "1 ../../secret.jpg\n",
            "'../../secret.jpg', .* is not below the folder",
        ),
        ("images.txt", "99 001.Bird1/B_7.jpg\n", "image '99' .* is not in"),
        ("image_class_labels.txt", "1 one\n", "is not in|has 'one' as a class"),
        ("classes.txt", "1 a\n", "the class 2 has no name"),
        ("classes.txt", "1 a\n2 b\n2 c\n", "classes.txt' has the class_id '2' twice"),
        ("image_class_labels.txt", "1 1\n1 2\n", "image_class_labels.txt' has the image_id '1' twice"),
        (
            "images.txt",
            "1 001.Bird1/B_7.jpg\n1 001.Bird1/B_3.jpg\n",
            "images.txt' has the image_id '1' twice",
        ),
        (
            "images.txt",
            "1 001.Bird1/B_7.jpg\n2 001.Bird1/B_7.jpg\n",
            "B_7.jpg' is named twice by images.txt",
        ),
    ],
)
def test_lists_that_are_not_as_published(tmp_path, name, text, complaint):
    cub(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=complaint):
        datasets.load_cub200(tmp_path)


def test_a_list_of_clothes_that_was_cut(tmp_path):
    """Its first line says how many rows follow."""
    clothes(tmp_path)
    listed = tmp_path / "Eval/list_eval_partition.txt"
    listed.write_text("".join(listed.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ValueError, match="announces 3 images and lists 2"):
        datasets.load_in_shop(tmp_path)


def test_lists_in_another_encoding_and_other_headers(tmp_path):
    products(tmp_path)
    (tmp_path / "Ebay_test.txt").write_text("id class path\n")
    with pytest.raises(ValueError, match="begins with 'id class path'"):
        datasets.load_stanford_online_products(tmp_path)
    (tmp_path / "Ebay_test.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is no text in UTF-8"):
        datasets.load_stanford_online_products(tmp_path)


def test_a_product_in_both_lists(tmp_path):
    products(tmp_path)
    test = tmp_path / "Ebay_test.txt"
    test.write_text(test.read_text().replace(" 100 6", " 9 6"))
    with pytest.raises(ValueError, match="the class 9 is in 'train' and in another part"):
        datasets.load_stanford_online_products(tmp_path)
