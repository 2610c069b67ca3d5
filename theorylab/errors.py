"""Errors that a user can mend.

The command line prints them as one line: exit code 2 for input, 1 for the others.
"""


class InputError(ValueError):
    """Bad input.

    The message says in one line what was given, what is needed and how to mend it. It is a
    `ValueError`.
    """


class DataError(InputError):
    """A data set is absent, truncated, corrupted or cannot be fetched.

    The message names the command that mends it.
    """


class OperationError(RuntimeError):
    """A disk, a folder or a cluster failed.

    The message says in one line which, what is kept and how to go on.
    """
