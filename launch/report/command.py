"""The script's own command: [--out FILE] [--] DIR...; without FILE the page is DIR/report.html of the one DIR.

Ends with langrun's exit codes: 2 where FILE exists, 3 where a package is missing, 6 where the page cannot be written;
the last lines of stderr say why.
"""
import contextlib
import os
import pathlib
import sys


def give_up(code, message, hint):
    sys.stderr.write(f"{message}\nhint: {hint}\n")
    sys.exit(code)


def place(partial, target, replace):
    """Gives the finished page its name; a target that is not ours to replace must not be there."""
    if replace:
        os.replace(partial, target)
        return
    try:
        os.link(partial, target)
    except FileExistsError:
        partial.unlink()
        give_up(2, f"{target} exists already", "choose another --out, or move the file away")
    except OSError:
        # A file system without links: the check that langrun made at the start has to do.
        os.rename(partial, target)
        return
    partial.unlink()


def write(text, target, replace):
    partial = target.with_name(target.name + ".partial")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        place(partial, target, replace)
    except OSError as failure:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        give_up(6, f"cannot write {target}: {failure.strerror}", "make room, or check its folder and permissions")


def main(words):
    out = None
    if words[:1] == ["--out"]:
        out, words = pathlib.Path(words[1]), words[2:]
    folders = [pathlib.Path(word) for word in (words[1:] if words[:1] == ["--"] else words)]
    try:
        import matplotlib  # asked for first: who installs it gets numpy and Pillow with it
        from . import page
    except ImportError as missing:
        give_up(3, f"the report needs the Python package {missing.name or 'matplotlib'}, which {sys.executable} lacks",
                f"{sys.executable} -m pip install matplotlib h5py, or set LANGRUN_PYTHON to an interpreter that has it")
    try:
        text = page.draw(folders)
    except ModuleNotFoundError as missing:
        give_up(3, f"chains.h5 needs the Python package {missing.name}, which {sys.executable} lacks",
                f"{sys.executable} -m pip install {missing.name}, or set LANGRUN_PYTHON to an interpreter that has it")
    write(text, out or folders[0] / "report.html", replace=out is None)
