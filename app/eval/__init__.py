"""`mixzoo eval` and its verbs, a module each."""
