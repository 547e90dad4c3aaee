"""The labelled images of a benchmark: where they lie, what they are called, how they get there."""

from .diagnose import diagnose_labels, diagnose_list
from .find import find_images
from .labels import LabelledImages, from_annotations, from_folders, from_list_file
from .stores import FolderStore, ImageStore, TarStore

__all__ = [
    "FolderStore",
    "ImageStore",
    "LabelledImages",
    "TarStore",
    "diagnose_labels",
    "diagnose_list",
    "find_images",
    "from_annotations",
    "from_folders",
    "from_list_file",
]
