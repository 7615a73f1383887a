"""Which failures may pass by themselves a moment later; those alone are tried again. The platform's own errors are told
in Japanese and English, everything else as it is.

A database somebody else holds for a second, a network share or a server that did not answer. A bad extract, a full
disk or a defect stays what it is however often it is tried.
"""

import errno
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import dagster as dg

from kodomo_platform.errors import KodomoError
from kodomo_platform.messages import in_both

MAX_RETRIES = 3
SECONDS_BETWEEN = 5.0

_PASSING_ERRNO = {
    errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNREFUSED,
    errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EPIPE,
}  # fmt: skip
# drivers share no class for it: (class name, words one of which its message has)
_PASSING = {
    "OperationalError": (
        "database is locked", "database table is locked", "connection refused", "could not connect", "connection timeout",
        "server closed the connection", "terminating connection", "deadlock detected", "the database system is starting up",
        "too many clients", "connection reset",
    ),
    "IOException": ("could not set lock on file",),
    "ConnectionError": ("",),
    "ConnectTimeout": ("",),
    "ReadTimeout": ("",),
    "MlflowException": ("max retries exceeded", "connection refused", "503", "502", "504"),
}  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


def is_transient(error: BaseException) -> bool:
    """Whether ``error``, or what caused it, may be gone a moment later."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.errno in _PASSING_ERRNO:
            return True
        message = str(cause).lower()
        for kind in type(cause).__mro__:
            if any(word in message for word in _PASSING.get(kind.__name__, ())):
                return True
        cause = cause.__cause__ or cause.__context__
    return False


def retried(step: F) -> F:
    """The step, asking Dagster to try it again (at most three times) when it failed of something that passes.

    An error of the platform's own becomes the failure that Dagster's pages show, in both languages, and its cause.
    """
    if inspect.isgeneratorfunction(step):

        @functools.wraps(step)
        def generator(*arguments: Any, **named: Any) -> Iterator[Any]:
            try:
                yield from step(*arguments, **named)
            except Exception as error:
                if (instead := _instead(error)) is None:
                    raise
                raise instead from error

        return generator  # type: ignore[return-value]

    @functools.wraps(step)
    def plain(*arguments: Any, **named: Any) -> Any:
        try:
            return step(*arguments, **named)
        except Exception as error:
            if (instead := _instead(error)) is None:
                raise
            raise instead from error

    return plain  # type: ignore[return-value]


def _instead(error: Exception) -> dg.RetryRequested | dg.Failure | None:
    """What to raise for ``error``; None for itself."""
    if is_transient(error):
        return dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=SECONDS_BETWEEN)
    return dg.Failure(description=in_both(error)) if isinstance(error, KodomoError) else None
