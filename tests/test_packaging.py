"""What is shipped: the wheel holds the schema and the seeds, and runs where no checkout is."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import edgekit

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as the build backend does, without asking the network."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_wheel_holds_code_schema_and_seeds_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    for packed, beside in (("edgekit/schema_files/", "schema"), ("edgekit/seed_files/", "seeds")):
        assert {name.removeprefix(packed) for name in names if name.startswith(packed)} == files_below(
            ROOT / beside
        )
    assert "edgekit/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"edgekit", f"edgekit-{edgekit.__version__}.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_names_its_command_and_its_licence(wheel: Path) -> None:
    info = f"edgekit-{edgekit.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
        metadata = archive.read(f"{info}/METADATA").decode()
    parser = configparser.ConfigParser()
    parser.read_string(entry_points)
    assert parser["console_scripts"]["edgekit"] == "edgekit.cli:main"
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    extras = {"fast", "javascript", "keyring", "mysql", "openfeature", "postgres", "python-scripts"}
    assert {"all", "dev"} | extras <= set(re.findall(r"^Provides-Extra: (\S+)", metadata, re.MULTILINE))


def test_the_wheel_makes_a_file_where_no_checkout_is(wheel: Path, tmp_path: Path) -> None:
    installed, empty = tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def run(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, *args], cwd=empty, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    assert str(installed) in run("-c", "import edgekit; print(edgekit.__file__)")
    run("-m", "edgekit", "init", "agency.db")
    assert "sound" in run("-m", "edgekit", "--db", "agency.db", "verify")


def commands_of_the_readme() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^(python3 -m venv .+)$", text, re.MULTILINE)


def test_the_readme_has_one_command_for_the_demo_and_one_for_the_tests() -> None:
    demo, tests = commands_of_the_readme()
    assert demo.endswith((" edgekit demo", "/edgekit demo"))
    assert tests.endswith("-m pytest")


def test_the_continuous_integration_runs_the_very_test_command_of_the_readme() -> None:
    _, tests = commands_of_the_readme()
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert tests in script
    assert f"{tests.rsplit(' && ', 1)[1]} -m slow" in script


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such right")
def test_the_continuous_integration_can_be_started() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
