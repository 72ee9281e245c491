"""Display: the programs that own the screen, with a window or headless, and the drawing of its pictures."""
