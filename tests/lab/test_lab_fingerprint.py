import pytest

from theorylab.lab import fingerprint as fp
from theorylab.lab import syntax


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small theorylab: a imports b inside a function and names from the package c; d stands
    alone."""
    root = tmp_path / "theorylab"
    (root / "c").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "a.py").write_text(
        "def f():\n    import theorylab.b\n    from theorylab.c import inner\n"
    )
    (root / "b.py").write_text("import numpy\n")
    (root / "c" / "__init__.py").write_text("from . import inner\n")
    (root / "c" / "inner.py").write_text("from .other import x\n")
    (root / "c" / "other.py").write_text("x = 1\n")
    (root / "d.py").write_text("")
    (root / "e.py").write_text(
        "from theorylab import g\nfrom theorylab.g import one as first\ng.two()\n"
    )
    (root / "g").mkdir()
    (root / "g" / "__init__.py").write_text(
        "from theorylab.g.one import one\nfrom theorylab.g.two import two\nfrom "
        "theorylab.g.three "
        "import three\n"
    )
    for module in ("one", "two", "three"):
        (root / "g" / f"{module}.py").write_text(
            f'def {module}():\n    """What it does."""\n    return 1\n'
        )
    monkeypatch.setattr(syntax, "ROOT", root)
    forget()
    yield root
    forget()


def forget():
    for cached in (*vars(fp).values(), *vars(syntax).values()):
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()


def digest(name):
    forget()
    return fp.fingerprint(name)


def test_the_closure_follows_lazy_and_relative_imports(package):
    reached = {f"theorylab.{m}" for m in ("a", "b", "c.inner", "c.other")}
    assert fp.closure("theorylab.a") == reached


def test_the_fingerprint_changes_with_reached_code_only(package):
    before = digest("theorylab.a")
    (package / "d.py").write_text("y = 2\n")
    assert digest("theorylab.a") == before
    (package / "c" / "other.py").write_text("x = 2\n")
    assert digest("theorylab.a") != before


def test_a_package_counts_by_the_modules_whose_names_are_used(package):
    assert fp.closure("theorylab.e") == {"theorylab.e", "theorylab.g.one", "theorylab.g.two"}


def test_a_package_used_in_another_way_than_by_its_names_counts_whole(package):
    (package / "e.py").write_text("from theorylab import g\ng.two(g)\n")
    forget()
    assert {"theorylab.g", "theorylab.g.three"} <= fp.closure("theorylab.e")


def test_a_name_that_a_package_defines_itself_counts_the_whole_package(package):
    (package / "g" / "__init__.py").write_text(
        "from theorylab.g.one import one\n\ndef own():\n    return one()\n"
    )
    (package / "e.py").write_text("from theorylab.g import own\n")
    forget()
    assert fp.closure("theorylab.e") == {"theorylab.e", "theorylab.g", "theorylab.g.one"}


def test_docstrings_do_not_count_and_code_does(package):
    before = digest("theorylab.e")
    path = package / "g" / "two.py"
    path.write_text(path.read_text().replace("What it does.", "What it does,\n\n    and why."))
    assert digest("theorylab.e") == before
    path.write_text(path.read_text().replace("return 1", "return 2"))
    assert digest("theorylab.e") != before


def test_the_real_package_is_read():
    reached = fp.closure("theorylab.lab.runner")
    assert {"theorylab.lab.store", "theorylab.errors", "theorylab.data.cache"} <= reached
    assert not any(m.startswith(("theorylab.cli", "theorylab.papers")) for m in reached)
