"""Drawing in world coordinates: a canvas that needs no display, shapes that several systems share, and a window."""
