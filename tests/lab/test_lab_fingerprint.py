import pytest

from theorylab.lab import fingerprint as fp


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small theorylab: a imports b inside a function and names from the package c; d stands alone."""
    root = tmp_path / "theorylab"
    (root / "c").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "a.py").write_text("def f():\n    import theorylab.b\n    from theorylab.c import inner\n")
    (root / "b.py").write_text("import numpy\n")
    (root / "c" / "__init__.py").write_text("from . import inner\n")
    (root / "c" / "inner.py").write_text("from .other import x\n")
    (root / "c" / "other.py").write_text("x = 1\n")
    (root / "d.py").write_text("")
    monkeypatch.setattr(fp, "ROOT", root)
    yield root
    fp.closure.cache_clear()
    fp.fingerprint.cache_clear()


def digest(name):
    fp.closure.cache_clear()
    fp.fingerprint.cache_clear()
    return fp.fingerprint(name)


def test_the_closure_follows_lazy_and_relative_imports(package):
    fp.closure.cache_clear()
    reached = {f"theorylab.{m}" for m in ("a", "b", "c", "c.inner", "c.other")}
    assert fp.closure("theorylab.a") == reached


def test_the_fingerprint_changes_with_reached_code_only(package):
    before = digest("theorylab.a")
    (package / "d.py").write_text("y = 2\n")
    assert digest("theorylab.a") == before
    (package / "c" / "other.py").write_text("x = 2\n")
    assert digest("theorylab.a") != before


def test_the_real_package_is_read():
    reached = fp.closure("theorylab.lab.runner")
    assert {"theorylab.lab.store", "theorylab.errors", "theorylab.data"} <= reached
    assert not any(m.startswith(("theorylab.cli", "theorylab.papers")) for m in reached)
