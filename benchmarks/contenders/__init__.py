"""The contenders of stream_latency and overload: one program each, which notes its windows in a `WindowLog`."""
