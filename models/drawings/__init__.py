"""Pictures that the project draws itself, so that every attribute of them is known."""
