"""Vetted joint computation: ask what the agreements allow, get nothing smaller than a group."""
