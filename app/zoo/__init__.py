"""`mixzoo zoo`: the group, and a module for each of its commands."""
