"""The one exception for what the person at the keyboard can mend."""


class SweeperError(Exception):
    """A mistake the user can fix; its text says what, where and what to do.

    The command line prints it without a traceback and exits with 2.
    """
