"""Build the wheel and the sdist into dist/, and run the tests against the wheel, installed.

The arguments of the command line go on to pytest.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command to its success, without what this environment would add to its imports."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(command, cwd=cwd, env=kept, check=True)


def build(tree: Path, target: Path) -> dict[str, bytes]:
    """Build both from a tree into a directory; return each by name."""
    run(sys.executable, "-m", "hatchling", "build", "-d", target, cwd=tree)
    return {path.name: path.read_bytes() for path in sorted(target.iterdir())}


def unpack(directory: Path, folder: Path) -> Path:
    """Unpack the one sdist of a directory into a folder; return the tree."""
    (sdist,) = directory.glob("*.tar.gz")
    run("tar", "-xzf", sdist, cwd=folder)
    return folder / sdist.name.removesuffix(".tar.gz")


def install(wheel: Path, tree: Path, folder: Path) -> Path:
    """Install a wheel and what the tests need, by hash, into a new venv; return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
    for locked in ("run.txt", "dev.txt"):
        run(*pip, "--require-hashes", "-r", tree / "requirements" / locked, cwd=tree)
    run(*pip, "--no-deps", "--no-index", wheel, cwd=tree)
    return python


def tried(wheel: Path, tree: Path, locked: str, folder: Path) -> None:
    """Install a wheel with the versions that a file has into a new venv, and try it."""
    venv.create(folder, with_pip=True)
    pip = (folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "install", "--require-hashes", "-r", tree / "requirements" / locked, cwd=tree)
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=tree)
    program = folder / "bin" / "bandwidth-voice-exporter"
    run(folder / "bin" / "python", tree / "testkit" / "installed.py", program, cwd=folder)


def tried_at_once(wheel: Path, tree: Path, folder: Path) -> None:
    """Try a wheel by the programs that run one without installing it where they are asked."""
    venv.create(folder, with_pip=True)
    run(folder / "bin" / "python", "-m", "pip", "--quiet", "install", "pipx", "uv", cwd=folder)
    for runner in (("pipx", "run", "--spec"), ("uvx", "--from")):
        program = (folder / "bin" / runner[0], *runner[1:], wheel, "bandwidth-voice-exporter")
        run(sys.executable, tree / "testkit" / "installed.py", *program, cwd=folder)


def test(python: Path, tree: Path, args: Sequence[str]) -> None:
    """Run the tree's tests; its sources are not what they import."""
    (tree / ".tools").symlink_to(ROOT / ".tools")  # the programs that tests start
    found = "import bandwidth_voice_exporter as it; print(it.__file__)"
    where = subprocess.check_output((python, "-c", found), cwd=tree, text=True).strip()
    if not Path(where).is_relative_to(python.parents[1]):
        sys.exit(f"release.py: {where} would be tested, not the wheel")
    run(python, "-m", "pytest", *args, cwd=tree)


def main() -> None:
    """Build, build again from what was built, compare, test, and only then put into dist/."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = build(ROOT, folder / "built")
        tree = unpack(folder / "built", folder)
        if build(tree, folder / "again") != built:
            sys.exit("release.py: the sdist does not give the same wheel and sdist again")
        (wheel,) = (folder / "built").glob("*.whl")
        for locked in ("lowest.txt", "run.txt"):
            tried(wheel, tree, locked, folder / f"venv of {locked}")
        tried_at_once(wheel, tree, folder / "venv of runners")
        test(install(wheel, tree, folder / "venv"), tree, sys.argv[1:])
        shutil.rmtree(DIST, ignore_errors=True)
        shutil.copytree(folder / "built", DIST)
    for file, content in built.items():
        print(f"{hashlib.sha256(content).hexdigest()}  dist/{file}")


if __name__ == "__main__":
    main()
