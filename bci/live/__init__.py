"""The programs of the line: acquire, decode, record, publish."""
