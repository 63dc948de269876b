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
