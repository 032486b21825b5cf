"""How many seconds of experience agents need until a task is solved, planned in different learned physics."""
