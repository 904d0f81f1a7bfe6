"""How examples reach the lanes: gathered from memory, or read from the disk in windows (`data.stream`)."""
