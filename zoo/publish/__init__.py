"""Rows and runs of one's own: as a manifest, as a repository on a hub."""
