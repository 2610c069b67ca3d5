"""Errors that a user can mend. The command line prints them as one line: exit code 2 for input, 1
for the others."""


class InputError(ValueError):
    """Bad input: the message says what was given, what is needed and how to mend it, in one
    line."""


class DataError(InputError):
    """A data set is absent, truncated, corrupted or cannot be fetched; the message names the
    command that mends it."""


class OperationError(RuntimeError):
    """A disk, a folder or a cluster failed: the message says which, what is kept and how to go on,
    in one line."""
