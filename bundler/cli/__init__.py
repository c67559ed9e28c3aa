"""The command line, one file a command: parse, call a verb, render. The one place with click."""
