"""Errors that a user can mend. The command line prints them as one line and exits with code 2."""


class InputError(ValueError):
    """Bad input: the message says what was given, what is needed and how to mend it, in one line."""


class DataError(InputError):
    """A data set is absent, truncated, corrupted or cannot be fetched; the message names the command that mends it."""
