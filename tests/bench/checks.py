"""What the scripts of this folder look at before they measure anything, and how they pass on another program's error: its
own line on stderr, and its exit code."""
import importlib
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def refuse(message, code=2):
    print(f"{pathlib.Path(sys.argv[0]).name}: error: {message}", file=sys.stderr)
    sys.exit(code)


def python_of_setup():
    """The Python that launch/setup found or made, None where there is none."""
    found = ROOT / "build" / "setup" / "python"  # its line: the folder of LibTorch, then the Python
    named = found.read_text().strip().partition(" ")[2] if found.is_file() else ""
    return next((path for path in (named, str(ROOT / ".venv" / "bin" / "python")) if path and shutil.which(path)), None)


def want(modules):
    """Imports what the calling script needs, `modules`: names and the packages they come in; or says what to use."""
    missing = []
    for module, package in modules.items():
        try:
            importlib.import_module(module)
        except ImportError:
            missing.append(package)
    if not missing:
        return
    other = python_of_setup()
    use = other if other not in (None, sys.executable) else "the Python of launch/setup (.venv/bin/python)"
    refuse(f"{sys.executable} has no {' and no '.join(missing)}: use {use}")


def want_program(path, hint):
    if shutil.which(path) is None:
        refuse(f"there is no program {path}: {hint}")


def pass_on(command, code, said):
    """Ends with the error of `command`, which ended with `code` and said `said` on stderr."""
    lines = said.strip().splitlines()
    own = [line for line in lines if line.startswith(("langrun: error: ", "hint: "))]
    if own:
        print("\n".join(own), file=sys.stderr)
    elif lines and ".py: error: " in lines[-1]:
        print(lines[-1], file=sys.stderr)
    else:
        print("\n".join([*lines, f"{' '.join(command)} ended with {code}"]), file=sys.stderr)
    sys.exit(code if code > 0 else 128 - code)  # a signal's number is below 0 here
