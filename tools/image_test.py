"""Build the image and try it, without a daemon and without a registry: `make image-test`.

Buildah builds it on a base that debootstrap makes (in place of the one that the Dockerfile names).
It runs as an orchestrator would have it: a read-only root, a user id that nothing knows, 1,024 open
files, a writable /data. Exits with 77 where it cannot be tried here.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".tools" / "image"
BASE, IMAGE = "localhost/python-of-debian", "localhost/bandwidth-voice-exporter:test"
STORE = ("buildah", "--storage-driver", "vfs", "--root", str(KEPT / "store"))
USER = 12345  # neither root nor the image's own
SKIPPED = 77
_OF_THIS_MACHINE = ("/etc/ssl/certs", "/etc/pip.conf")  # how it reaches an index of packages
# Installers and compilers, by the directory that has them.
_UNWANTED = {
    "bin": {"pip", "pip3", "gcc", "cc", "g++", "c++", "clang", "make", "uv", "hatchling"},
    "site-packages": {"pip", "setuptools", "hatchling"},
    "dist-packages": {"pip", "setuptools"},
}


def run(*command: str | Path) -> str:
    """Run a command to its success and return what it writes."""
    return subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def missing() -> str:
    """Return why it cannot be tried here; empty where it can."""
    if os.getuid() != 0:
        return "it mounts and changes users: only root may"
    lacking = [name for name in ("buildah", "debootstrap", "unshare") if not shutil.which(name)]
    return f"there is no {', no '.join(lacking)}" if lacking else ""


def base() -> None:
    """Make the base image, once."""
    if f"{BASE}:latest" in run(*STORE, "images", "--format", "{{.Name}}:{{.Tag}}").splitlines():
        return
    with tempfile.TemporaryDirectory(dir=KEPT) as name:
        packages = "python3,python3-venv,ca-certificates"
        run("debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", name)
        (Path(name) / "usr" / "bin" / "python").symlink_to(
            "python3"
        )  # as the official images have it
        container = run(*STORE, "from", "scratch")
        run(*STORE, "add", "--quiet", container, name, "/")
        run(*STORE, "commit", "--quiet", "--rm", container, BASE)


def build() -> None:
    """Build the image as `docker build` would, trusting whom this machine trusts."""
    trusted = (path for path in _OF_THIS_MACHINE if Path(path).exists())
    run(
        *(*STORE, "bud", "--quiet", "--isolation=chroot", "--network=host"),
        *("--no-cache", "--force-rm"),
        *(f"--volume={path}:{path}:ro" for path in trusted),
        *(f"--build-arg=PYTHON={BASE}", "--build-arg=REVISION=image-test"),
        *("-f", "deploy/Dockerfile", "-t", IMAGE, "."),
    )


def command(root: Path, config: dict[str, list[str]]) -> Sequence[str]:
    """Return what runs the image's program below its root as an orchestrator would."""
    script = f"""
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
mount -t proc proc "$0/proc"
mount --bind /dev "$0/dev"
mount -t tmpfs -o mode=0700,uid={USER},gid=0 data "$0/data"
exec chroot --userspec={USER}:0 --groups= "$0" env -i {" ".join(config["Env"])} "$@"
"""
    return ["unshare", "--mount", "sh", "-ec", script, str(root), *config["Entrypoint"]]


def found(root: Path) -> list[str]:
    """Return the installers and compilers below a root."""
    return [
        str(Path(directory, name).relative_to(root))
        for directory, folders, files in os.walk(root)
        for name in {*folders, *files} & _UNWANTED.get(Path(directory).name, set())
    ] + [str(one.relative_to(root)) for one in root.glob("usr/**/ensurepip")]


def main() -> int:
    """Try it, say its size, and return the exit status."""
    if reason := missing():
        print(f"image-test: skipped: {reason}", file=sys.stderr)
        return SKIPPED
    KEPT.mkdir(parents=True, exist_ok=True)
    base()
    build()
    described = json.loads(run(*STORE, "inspect", "--type=image", IMAGE))
    config = described["OCIv1"]["config"]
    if config["User"] != "65532:65532":
        sys.exit(f"image-test: its user is {config['User']}")
    container = run(*STORE, "from", "--pull-never", IMAGE)
    try:
        root = Path(run(*STORE, "mount", container))
        if unwanted := found(root):
            sys.exit(f"image-test: it has {', '.join(unwanted)}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
        program = command(root, config)
        print(run(sys.executable, ROOT / "testkit" / "installed.py", *program))
        print(f"{run('du', '-sxm', '--apparent-size', root).split()[0]} MB unpacked")
        own = root / "opt" / "bandwidth-voice-exporter"
        print(f"{run('du', '-sxm', '--apparent-size', own).split()[0]} MB of it beside the base")
    finally:
        run(*STORE, "rm", container)
    return 0


if __name__ == "__main__":
    sys.exit(main())
