"""Tests with fixtures that hold data for a while, parameters and a failure that is expected."""

import json

import pytest


@pytest.fixture(scope="module")
def table():
    return [{"id": i, "text": "x" * 100} for i in range(50_000)]


@pytest.fixture
def numbers():
    return list(range(100_000))


@pytest.mark.parametrize("size", range(150))
def test_a_slice_has_its_size(table, size):
    assert len(table[:size]) == size


@pytest.mark.parametrize("text", [str(i) for i in range(60)])
def test_a_document_comes_back(text, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"text": text * 1000}))
    assert json.loads(path.read_text())["text"] == text * 1000


def test_sums(numbers):
    assert sum(numbers) == 4_999_950_000


@pytest.mark.xfail(strict=True)
def test_what_fails_keeps_its_frames(numbers):
    assert numbers == []
