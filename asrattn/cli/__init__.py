"""The command line: one small file for each command. What is heavy is imported inside a command's `run`."""
