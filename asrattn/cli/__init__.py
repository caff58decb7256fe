"""The command line: one file for each command; `main` imports the one that is asked for.

A command checks arguments, paths and settings before it imports heavy packages such as torch.
"""
