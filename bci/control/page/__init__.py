"""The operator's page: how a session stands, live and afterwards, in a browser."""
