"""What goes wrong with data sets and their files."""


class DatasetError(RuntimeError):
    """A data set that is not found, or is not what it should be. The message says what to do."""


class IdxError(DatasetError):
    """A file that is not IDX, is damaged, or an array that IDX cannot hold. The message starts with the file's path."""
