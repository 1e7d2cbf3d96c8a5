"""Files that are replaced as a whole, and locked."""

import contextlib
import errno
import os
import platform
import zlib
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


def as_text(argument: str, path: str | os.PathLike[str]) -> str:
    """Return a path as text; ``argument`` is what the error calls it."""
    try:
        return os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{argument} must be a str or path-like, got {path!r} ({type(path).__name__})") from None


def check_kind(path: str) -> None:
    """Refuse what is there and is no regular file."""
    if os.path.isdir(path):
        raise IsADirectoryError(f"path must be a file's, but {path} is a folder")
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"path must be a regular file's, but {path} is a device, a pipe or a socket")


def check_place(path: str | os.PathLike[str]) -> str:
    """Return ``path``, links followed, as text; a missing folder, or no regular file in its place, is an error."""
    path = os.path.realpath(as_text("path", path))
    check_kind(path)
    if not os.path.isdir(os.path.dirname(path)):
        raise FileNotFoundError(f"path must lie in a folder that exists, got {path}")
    return path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the name of a file to write, beside ``path``; it takes the place of ``path`` once the block has ended well.

    Where the block fails, or the process dies, what was at ``path`` stays as it was. The new file has its permissions.
    """
    path = check_place(path)
    folder = os.path.dirname(path)
    spare = os.path.join(folder, f".{os.urandom(8).hex()}.part")  # no longer than any name may be
    try:
        with open(spare, "xb"):
            mode = os.stat(path if os.path.exists(path) else spare).st_mode
        yield spare
        os.chmod(spare, mode)  # safetensors' files are the user's alone
        _to_disk(spare)
        os.replace(spare, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(spare)
        if isinstance(error, OSError) and error.filename == spare:
            raise OSError(error.errno, error.strerror, path) from None  # of the same class, by the number
        raise
    _to_disk(folder)


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Refuse others who want to lock ``path``, in any process, until the block ends or the process dies.

    The operating system locks a file beside ``path``. Where it cannot, on some file systems, nothing is locked.
    """
    descriptor = _open_locked(path)
    try:
        yield
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.unlink(_lock_file(path))
            os.close(descriptor)


def _lock_file(path):
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{zlib.crc32(os.fsencode(name)):08x}.lock")  # no longer than any name may be


def _open_locked(path):
    """Return the descriptor of the lock file, locked; None where there are no locks."""
    while fcntl is not None:
        try:
            descriptor = os.open(_lock_file(path), os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):  # its owner has ended, and removed it, meanwhile
                if os.path.samestat(os.fstat(descriptor), os.stat(_lock_file(path))):
                    with contextlib.suppress(OSError):  # a full disk: only the message would have needed it
                        os.ftruncate(descriptor, 0)
                        os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
                    return descriptor
        except BlockingIOError:
            owner = os.read(descriptor, 200).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise BlockingIOError(
                errno.EWOULDBLOCK, f"{owner} writes this checkpoint: choose another path, or end that training", path
            ) from None
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)
    return None


def _to_disk(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
