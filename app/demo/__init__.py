"""The demo: a Gradio page on this machine's checkpoints, safe to show to strangers."""
