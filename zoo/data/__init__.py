"""The labelled images of a benchmark: where they lie, what they are called, how they get there."""

from .diagnose import diagnose_labels, diagnose_list, numberings
from .find import find_images, named_file
from .labels import LabelledImages, from_file, from_folders
from .stores import FolderStore, ImageStore, TarStore

__all__ = [
    "FolderStore",
    "ImageStore",
    "LabelledImages",
    "TarStore",
    "diagnose_labels",
    "diagnose_list",
    "find_images",
    "from_file",
    "from_folders",
    "named_file",
    "numberings",
]
