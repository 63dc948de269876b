"""Laws for every public name: it exists, its docstring is complete, a test speaks of it."""

import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest
from numpydoc.validate import validate

import skmetric

# of numpydoc's checks, those that a method leaves to its class: the story, the neighbours and the example
OF_METHODS = {"ES01", "SA01", "EX01"}


def public_modules():
    walked = pkgutil.walk_packages(skmetric.__path__, "skmetric.")
    names = [module.name for module in walked if "._" not in module.name]
    return ["skmetric", *names]


def public_names():
    """Every public object once, under the shortest path that exports it."""
    paths = {}
    for module in sorted(public_modules(), key=lambda name: (name.count("."), name)):
        for name in getattr(import_module(module), "__all__", []):
            thing = getattr(import_module(module), name, None)
            if thing is not None and not inspect.ismodule(thing):
                paths.setdefault(id(thing), f"{module}.{name}")
    return sorted(paths.values())


def is_ours(member):
    function = member.fget if isinstance(member, property) else member
    return (getattr(function, "__module__", None) or "").startswith("skmetric.")


def load(path):
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def public_methods(path):
    thing = load(path)
    if not inspect.isclass(thing):
        return []
    members = inspect.getmembers(thing, lambda member: callable(member) or isinstance(member, property))
    return [
        f"{path}.{name}"
        for name, member in members
        if not name.startswith("_") and is_ours(member) and not inherits_docstring(member)
    ]


def inherits_docstring(member):
    """Whether a method has none of its own, and its base has one: the base's is checked."""
    return not member.__doc__ and bool(inspect.getdoc(member))


def repeated_docstrings(path):
    """Methods of a class whose docstring is word for word that of the method which they override."""
    thing = load(path)
    for name, member in vars(thing).items() if inspect.isclass(thing) else ():
        bases = (vars(base)[name] for base in thing.__mro__[1:] if name in vars(base))
        overridden = next((base for base in bases if base.__doc__), None)
        own = getattr(member, "__doc__", None)
        if is_ours(member) and own and overridden and own.split() == overridden.__doc__.split():
            yield name


def complaints(path, not_applied=()):
    return [f"{code}: {text}" for code, text in validate(path)["errors"] if code not in not_applied]


NAMES = public_names()


@pytest.mark.parametrize("module", public_modules())
def test_module_says_what_it_is_and_what_it_offers(module):
    module = import_module(module)
    assert module.__doc__
    assert len(module.__all__) == len(set(module.__all__))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", NAMES)
def test_docstring_is_complete(path):
    assert complaints(path) == []


@pytest.mark.parametrize("path", [method for path in NAMES for method in public_methods(path)])
def test_docstring_of_a_method_is_complete(path):
    assert complaints(path, OF_METHODS) == []


@pytest.mark.parametrize("path", NAMES)
def test_a_method_does_not_repeat_the_docstring_of_its_base(path):
    assert list(repeated_docstrings(path)) == []


@pytest.fixture(scope="module")
def words_of_tests():
    tests = Path(__file__).parent.rglob("*.py")
    return set(re.findall(r"\w+", " ".join(test.read_text("utf-8") for test in tests)))


@pytest.mark.parametrize("path", NAMES)
def test_a_test_names_it(path, words_of_tests):
    name = path.rpartition(".")[2]
    assert name in words_of_tests, f"no file in tests/ mentions {name}: a public thing needs a test"


def modules_in_the_reference():
    """Modules of ``doc/api.rst``: each has a page that lists its ``__all__``, and each name there one too."""
    reference = (Path(__file__).parents[1] / "doc" / "api.rst").read_text("utf-8")
    return re.findall(r"^   (skmetric[\w.]*)$", reference, flags=re.MULTILINE)


def test_the_reference_lists_every_module_once():
    assert sorted(modules_in_the_reference()) == sorted(set(public_modules()) - {"skmetric"})


def test_every_public_name_is_in_the_reference():
    listed = [
        getattr(import_module(m), name)
        for m in modules_in_the_reference()
        for name in import_module(m).__all__
    ]
    assert [path for path in NAMES if not any(load(path) is thing for thing in listed)] == []


@pytest.mark.parametrize("path", NAMES)
def test_the_reference_has_a_place_for_its_kind(path):
    assert inspect.isclass(load(path)) or inspect.isroutine(load(path))  # of which the template makes pages
