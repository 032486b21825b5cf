"""The seconds benchmark: how much experience agents need until a task is solved."""
