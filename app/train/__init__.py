"""`mixzoo train` and its verbs, a module each."""
