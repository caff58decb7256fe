"""The command line: one file for each command; `main` imports the one that is asked for.

A command looks at its arguments, paths and settings first and imports what is heavy afterwards.
"""
