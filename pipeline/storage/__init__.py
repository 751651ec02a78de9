"""Files, names and record formats, on any Beam filesystem."""
