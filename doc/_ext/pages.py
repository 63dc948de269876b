"""Code of a page: run it, compare what it prints, record what it prints."""

import contextlib
import doctest
import io
import re

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
TOLERANCE = 0.05  # of a number with decimals: absolute below 1, relative above
_NUMBER = re.compile(r"(?<![\w.])-?(?:\d+\.\d*|\.\d+)(?:e[-+]?\d+)?(?![\w])")


class Tolerant(doctest.OutputChecker):
    """Compares text as doctest does, numbers with decimals within a tolerance: machines differ."""

    def check_output(self, want, got, optionflags):
        """Whether `got` is what the page shows."""
        if super().check_output(want, got, optionflags):
            return True
        shown, printed = _NUMBER.findall(want), _NUMBER.findall(got)
        near = len(shown) == len(printed) and all(map(is_near, map(float, printed), map(float, shown)))
        return near and super().check_output(_masked(want), _masked(got), optionflags)


def is_near(number, shown):
    """Whether a number may stand for the one that is shown."""
    return abs(number - shown) <= TOLERANCE * max(1, abs(shown))


def _masked(text):
    """Text without its numbers, and without the padding that depends on them."""
    return re.sub(r"[ \t]+", " ", _NUMBER.sub(" # ", text))


def run(text, name):
    """Run the examples of a page as doctest does; return the failures."""
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, name, name, 0)
    return doctest.DocTestRunner(checker=Tolerant(), optionflags=FLAGS).run(test).failed


class Session:
    """Runs examples one after the other in one namespace, as a reader would."""

    def __init__(self, name):
        self.name, self.names = name, {"__name__": "__main__"}

    def run(self, example):
        """Return what an example prints; a warning is an error, as in the tests."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            try:
                exec(compile(example.source, self.name, "single"), self.names)
            except Exception as error:
                if example.exc_msg is None:
                    raise RuntimeError(f"{self.name}, line {example.lineno + 1}: {error!r}") from error
        return printed.getvalue()


def recorded(text, name):
    """The page with the output that its code prints now; what is shortened by dots stays."""
    session, lines, moved = Session(name), text.split("\n"), 0
    for example in doctest.DocTestParser().get_examples(text):
        printed = session.run(example)
        if "..." in example.want or example.exc_msg or printed == example.want:
            continue
        indent = " " * example.indent
        shown = (
            [indent + (line or "<BLANKLINE>") for line in printed.rstrip("\n").split("\n")] if printed else []
        )
        first = moved + example.lineno + example.source.count("\n")
        stood = example.want.count("\n")
        lines[first : first + stood] = [line.rstrip() for line in shown]
        moved += len(shown) - stood
    return "\n".join(lines)
