"""Lab Streaming Layer: finding streams, receiving and sending samples and markers, their stamps."""
