"""Lab Streaming Layer's native library is imported here, once, with a clear error where that fails."""

from bci.errors import StreamError

try:
    import pylsl as pylsl
except RuntimeError as error:  # pylsl finds no liblsl, or one that does not load
    import platform

    raise StreamError(
        f"Lab Streaming Layer needs its library, liblsl, and got: {str(error).strip().splitlines()[0]} "
        "The pylsl wheels bring it for Windows, macOS, and Linux with glibc 2.35 or newer "
        f"(here: {' '.join(platform.libc_ver()) or platform.system()}). Elsewhere install it with "
        "`conda install -c conda-forge liblsl`, or download the liblsl package for this system from its "
        "releases page and set PYLSL_LIB to the library file."
    ) from error
