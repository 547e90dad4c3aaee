"""Mixing methods, each a draw and a pure apply."""
