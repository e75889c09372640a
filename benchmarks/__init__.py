"""Measurements: each module is a command, writes one JSON file beside itself, and prints a Markdown table."""
