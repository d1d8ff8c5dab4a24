"""The wheel and the sdist are complete, and so are the locked files they are installed with."""

import configparser
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from itertools import chain
from pathlib import Path

import pytest

from testkit import installed

ROOT = Path(__file__).parents[2]
revision = runpy.run_path(str(ROOT / "tools" / "revision.py"))["revision"]
PACKAGE = ROOT / "src" / "bandwidth_voice_exporter"
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
PINNED = re.compile(
    r"(?P<name>[a-z0-9-]+)==[^\s;]+(?: ;[^\\]+)?(?: \\\n +--hash=sha256:[0-9a-f]{64})+"
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# Code, what the pages are made of, and what is handed out.
MODULES = {".py", ".html", ".css", ".js", ".svg", ".md", ".toml", ".yml"}

# Files without which the sdist cannot be built and tested.
NEEDED = (
    *("pyproject.toml", "README.md", "LICENSE", "Makefile", "SECURITY.md", "openapi.yaml"),
    *("tests/conftest.py", "testkit/exporter.py", "tests/payloads/hangup.good.json"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "deploy/compose/compose.yaml", "deploy/README.md"),
    *(".github/workflows/release.yml", "testkit/installed.py", "requirements/lowest.txt"),
    *(
        "tests/voice/test_call.py",
        "lab/fuzz/mutations.py",
        "requirements/dev.txt",
        "requirements/run.txt",
    ),
    *("src/bandwidth_voice_exporter/cli.py", "tools/fetch_debian.py"),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with both, built from this checkout, whose commit the environment tells."""
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(directory)],
        cwd=ROOT,
        env={**os.environ, "REVISION": COMMIT},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return directory


@pytest.mark.program
def test_the_wheel_holds_the_package_and_its_metadata_alone(built: Path) -> None:
    """The wheel has every module of the package, the type marker, its dist-info, nothing else."""
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    info = {name for name in names if ".dist-info/" in name}
    modules = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.suffix in MODULES or path.name == "py.typed"
    }
    assert names - info == modules | {"bandwidth_voice_exporter/REVISION"}
    assert "bandwidth_voice_exporter/py.typed" in names
    assert {name.partition(".dist-info/")[2] for name in info} == {
        *("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    }


@pytest.mark.program
def test_the_wheel_alone_is_enough(built: Path, tmp_path: Path) -> None:
    """In a new environment, elsewhere, it counts a call and hands out rules, boards, runbooks."""
    fresh = tmp_path / "venv"
    venv.create(fresh, symlinks=True)
    (places,) = (fresh / "lib").glob("python*/site-packages")
    # Of the environment of the tests only what the wheel depends on: a path in a .pth is no .pth.
    (places / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    pip = (sys.executable, "-m", "pip", "--quiet", "--python", str(fresh / "bin" / "python"))
    wheel = next(built.glob("*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    program = fresh / "bin" / "bandwidth-voice-exporter"
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    where = "import bandwidth_voice_exporter as it; print(it.__file__)"
    found = subprocess.check_output(
        [fresh / "bin" / "python", "-c", where], cwd=directory, text=True
    )
    assert Path(found).is_relative_to(fresh)
    installed.tried([str(program)], directory)


@pytest.mark.program
def test_what_is_built_knows_its_commit(built: Path, tmp_path: Path) -> None:
    """The wheel's own code says which commit it was built from, and the sdist can say it on."""
    (wheel,) = built.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path, "zip")
    ask = "from bandwidth_voice_exporter.version import revision; print(revision())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = subprocess.check_output([sys.executable, "-c", ask], env=environment, text=True)
    assert said == f"{COMMIT}\n"
    (sdist,) = built.glob("*.tar.gz")
    shutil.unpack_archive(sdist, tmp_path, filter="data")
    assert revision(tmp_path / sdist.name.removesuffix(".tar.gz"), {}) == COMMIT


@pytest.mark.program
def test_the_commit_is_that_of_the_checkout(tmp_path: Path) -> None:
    """A build takes the commit of its own repository, says what is changed, and no other's."""
    git = ["git", "-c", "user.name=x", "-c", "user.email=x", "-C", str(tmp_path)]
    (tmp_path / "file").write_text("a")
    for arguments in (["init", "-q"], ["add", "file"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    assert revision(tmp_path, {}) == commit
    (tmp_path / "file").write_text("b")
    assert revision(tmp_path, {}) == f"{commit}-dirty"
    (tmp_path / "below").mkdir()
    assert revision(tmp_path / "below", {}) == ""
    assert revision(tmp_path, {"REVISION": COMMIT}) == COMMIT


@pytest.mark.program
def test_the_wheel_has_the_command(built: Path) -> None:
    """The wheel's one command is the exporter's."""
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
    entries = configparser.ConfigParser()
    entries.read_string(archive.read(name).decode())
    assert {section: dict(entries[section]) for section in entries.sections()} == {
        "console_scripts": {"bandwidth-voice-exporter": "bandwidth_voice_exporter.__main__:run"}
    }


@pytest.mark.program
def test_the_sdist_can_be_built_and_tested(built: Path) -> None:
    """The sdist has sources, tests, tools, locked requirements, and no data or caches."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(NEEDED) <= names
    assert not [
        name
        for name in names
        if re.search(r"(^|/)(data|dist|\.venv|\.tools|__pycache__)/|\.(pyc|sqlite3.*|key)$", name)
    ]


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_with_hashes(path: Path) -> None:
    """Every requirement in a locked file has one version and at least one hash."""
    text = "\n".join(
        line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")
    )
    assert PINNED.sub("", text).strip() == ""


def test_the_locked_files_are_those_that_are_installed() -> None:
    """There are the locked files that get installed, and each asks for something."""
    assert {path.name for path in REQUIREMENTS} == {
        *("bench.txt", "build.txt", "demo.txt", "dev.txt", "fuzz.txt", "lowest.txt", "run.txt")
    }
    assert all(pinned(path) for path in REQUIREMENTS)


def test_the_exporter_is_installed_with_its_dependencies_alone() -> None:
    """run.txt has the dependencies and extras of pyproject.toml, what these need, and no others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    wanted = {re.split(r"[<>=~!\[ ]", one)[0] for one in asked}
    origins = origins_of((ROOT / "requirements" / "run.txt").read_text())
    direct = {name for name, via in origins.items() if "bandwidth-voice-exporter" in via}
    assert direct == wanted
    assert set(origins) == pinned(ROOT / "requirements" / "run.txt")
    brought = set(direct)
    while more := {name for name, via in origins.items() if via & brought} - brought:
        brought |= more
    assert brought == set(origins)


def pinned(path: Path) -> set[str]:
    """The names that a locked file has."""
    return {match["name"] for match in PINNED.finditer(path.read_text())}


def origins_of(text: str) -> dict[str, set[str]]:
    """The packages that ask for each requirement, as the locked file's comments say."""
    origins: dict[str, set[str]] = {}
    name = ""
    for line in text.splitlines():
        if match := re.match(r"([a-z0-9-]+)==", line):
            name = match[1]
            origins[name] = set()
        elif name and (via := re.match(r" +#(?: via)? +([a-z0-9-]+)", line)):
            origins[name].add(via[1])
    return origins
