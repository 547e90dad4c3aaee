"""Two thin faces on the library: the command line and, later, the demo."""
