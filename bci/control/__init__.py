"""The supervisor: starts, watches and stops the programs of the line."""
