"""What acts: policies, controllers, planning, playing episodes, and the training of agents."""
