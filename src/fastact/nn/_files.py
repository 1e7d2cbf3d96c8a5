"""Files that are whole or not there."""

import contextlib
import os
from collections.abc import Iterator


def check_place(path: str | os.PathLike[str]) -> str:
    """Return ``path``, links followed, as text; a missing folder, or a folder in its place, is an error."""
    path = os.path.realpath(os.fsdecode(path))
    if os.path.isdir(path):
        raise IsADirectoryError(f"path must be a file's, but {path} is a folder")
    if not os.path.isdir(os.path.dirname(path)):
        raise FileNotFoundError(f"path must lie in a folder that exists, got {path}")
    return path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the name of a file to write, beside ``path``; it takes the place of ``path`` once the block has ended well.

    Where the block fails, or the process dies, what was at ``path`` stays as it was. The new file has its permissions.
    """
    path = check_place(path)
    folder, name = os.path.split(path)
    spare = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.part")
    try:
        with open(spare, "xb"):
            mode = os.stat(path if os.path.exists(path) else spare).st_mode
        yield spare
        os.chmod(spare, mode)  # safetensors' files are the user's alone
        _to_disk(spare)
        os.replace(spare, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(spare)
        raise
    _to_disk(folder)


def _to_disk(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
