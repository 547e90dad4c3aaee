"""The labelled images of a benchmark: where they lie, what they are called, how they get there."""

from .labels import LabelledImages, find_images, from_annotations, from_folders, from_list_file
from .stores import FolderStore, ImageStore

__all__ = [
    "FolderStore",
    "ImageStore",
    "LabelledImages",
    "find_images",
    "from_annotations",
    "from_folders",
    "from_list_file",
]
