"""Draws runs on one self-contained page; langrun carries these files inside and hands them to a Python (loader.py)."""
