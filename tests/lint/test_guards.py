"""The guards of `tox -e lint`: each is run on a copy of the checkout that breaks its rule, and fails."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
LINT: Final = ROOT / "scripts" / "lint"
PHRASES: Final[dict[str, Any]] = runpy.run_path(str(LINT / "phrases.py"))
BANNED: Final = " ".join(("in", "vain"))
"""A banned phrase, put together so that it is not found in this module."""
PACKAGES: Final = ("pytest_grpcstream", "conformance", "reference_impl")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the import contracts are about."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(script: str, root: Path) -> tuple[int, str]:
    """Run a guard on a checkout; returns its exit code and what it printed, without line breaks."""
    command = [sys.executable, str(LINT / script), f"--root={root}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def add(path: Path, line: str) -> None:
    """Append a line to a module of a copied checkout."""
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")


def test_this_checkout_keeps_every_contract(checkout: Path) -> None:
    """The copy that the other tests break is not broken before."""
    code, output = run("imports.py", checkout)
    assert code == 0, output


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("pytest_grpcstream/values.py", "import pytest_grpcstream.wire.codes", "A module imports only from the layers"),
        ("pytest_grpcstream/targets/address.py", "import pytest_grpcstream.verdicts.hints", "A module imports only"),
        ("pytest_grpcstream/wire/codes.py", "import pytest_grpcstream.wire.frames", "in a circle, in any package"),
        ("pytest_grpcstream/verdicts/hints.py", "import pytest", "Only the plugin and the suite know pytest"),
        ("conformance/__init__.py", "import pytest_grpcstream.wire.codes", "The suite imports public names only"),
        ("conformance/__init__.py", "import pytest_grpcstream.plugin", "The suite imports public names only"),
        ("pytest_grpcstream/escape.py", "import pytest_grpcstream.conformance", "Only the plugin knows the suite"),
        ("pytest_grpcstream/escape.py", "import pytest_grpcstream.reference_impl", "Nothing imports the reference"),
        ("reference_impl/watches.py", "import pytest_grpcstream.values", "The reference implementation imports"),
    ],
)
def test_an_import_that_breaks_a_contract_is_found(checkout: Path, module: str, line: str, contract: str) -> None:
    """An import upwards, sideways, in a circle, of pytest or of what is not public fails, and names the module."""
    add(checkout / module, line)
    code, output = run("imports.py", checkout)
    assert code == 1
    broken = output.partition("Broken contracts")[2]
    assert contract in broken
    assert module.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2] in broken


def test_a_module_without_a_layer_is_found(checkout: Path) -> None:
    """A new module of the package must be given a layer."""
    (checkout / "pytest_grpcstream" / "unplaced.py").touch()
    code, output = run("imports.py", checkout)
    assert code == 1
    assert "not listed as layers: - pytest_grpcstream.unplaced" in output


@pytest.mark.parametrize("folder", ["pytest_grpcstream/wire", "conformance", "reference_impl", "tests", "scripts/lint"])
def test_a_module_of_more_than_400_lines_is_found(tmp_path: Path, folder: str) -> None:
    """400 lines are allowed, 401 are not."""
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "long.py").write_text("x = 1\n" * 400, encoding="utf-8")
    assert run("module_length.py", tmp_path) == (0, "")
    (tmp_path / folder / "long.py").write_text("x = 1\n" * 401, encoding="utf-8")
    code, output = run("module_length.py", tmp_path)
    assert (code, output.partition(";")[0]) == (1, f"{folder}/long.py: 401 lines")


@pytest.mark.parametrize("phrase", list(PHRASES["phrases"]()), ids=lambda one: one.better)
def test_a_banned_phrase_is_found(phrase: Any) -> None:
    """Each pattern finds its own example, and not what is meant to be allowed."""
    assert phrase.pattern.search(phrase.example)
    assert not phrase.pattern.search(phrase.good)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/page.md", "A line.\n\nThe report {}.\n"),
        ("pytest_grpcstream/module.py", '"""A docstring."""\n\n# A comment, {}\n'),
        ("conformance/requirements.toml", '[A-1]\n\nsentence = "Once {}."\n'),
        ("tests/test_module.py", "x = 1\n\ndef test_{}(): ...\n"),
    ],
)
def test_a_banned_phrase_is_found_in_every_kind_of_file(tmp_path: Path, path: str, text: str) -> None:
    """The place, the phrase and the better one are printed; across a line break and in a name too."""
    example = BANNED.replace(" ", "_") if path.startswith("tests") else BANNED
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text(text.format("waits without success"), encoding="utf-8")
    assert run("phrases.py", tmp_path) == (0, "")
    (tmp_path / path).write_text(text.format(example), encoding="utf-8")
    assert run("phrases.py", tmp_path) == (1, f'{path}:3: "{example}"; better: "without success", or "timed out"')


def test_what_was_generated_or_built_is_not_read(tmp_path: Path) -> None:
    """A banned phrase there is a matter of the text that it was made from."""
    for path in ("docs/generated/page.md", ".tox/py/module.py", "implementations/go/node_modules/index.js", "a.lock"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{BANNED}\n", encoding="utf-8")
    assert run("phrases.py", tmp_path) == (0, "")
