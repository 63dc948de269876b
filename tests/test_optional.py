"""The gate for optional packages tells what is missing from what is broken."""

import pytest

from skmetric._optional import import_optional


def test_a_package_that_fails_to_import_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("raise RuntimeError('operator x::y does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    message = r"is installed and fails to import \(operator x::y does not exist\): .*'skmetric\[vision\]'"
    with pytest.raises(ImportError, match=message) as caught:
        import_optional("broken_package", extra="vision", purpose="This test")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_what_a_package_lacks_is_named_itself(tmp_path, monkeypatch):
    (tmp_path / "needy_package.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        import_optional("needy_package", extra="vision", purpose="This test")


def test_a_torchvision_of_another_torch_is_not_answered_with_what_failed(tmp_path, monkeypatch):
    (tmp_path / "broken_vision.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    message = r"torchvision was built for another torch.*--force-reinstall torch torchvision --index-url"
    with pytest.raises(ImportError, match=message) as caught:
        import_optional("broken_vision", extra="vision", purpose="This test")
    assert "skmetric[" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "extra", "command"),
    [
        ("no_such_frames", None, "pip install no_such_frames"),
        ("no_such_index", "faiss", "pip install 'skmetric[faiss]'"),
        (
            "PIL.no_such_part",
            "vision",
            "pip install pillow, or all of the extra: pip install 'skmetric[vision]'",
        ),
    ],
)
def test_the_smallest_installation_is_named(module, extra, command):
    with pytest.raises(ImportError) as caught:
        import_optional(module, extra=extra, purpose="This test")
    assert str(caught.value) == f"This test needs the package {module.partition('.')[0]!r}: {command}"
