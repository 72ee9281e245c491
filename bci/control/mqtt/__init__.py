"""The control plane: a session is watched and commanded over MQTT, and its data path never waits for that."""
