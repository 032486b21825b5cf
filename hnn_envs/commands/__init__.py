"""The subcommands of ``hnn-envs`` that have files of their own, and the console that all share."""
