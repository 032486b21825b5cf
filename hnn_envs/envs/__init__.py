"""Gymnasium's shells around one task and one physics: a single environment and a batch of them."""

from hnn_envs.envs.learned import make_learned, make_learned_batch
from hnn_envs.envs.simulation import ResetNeededError
from hnn_envs.envs.single import PhysicsEnv, make_limited
from hnn_envs.envs.vector import PhysicsVectorEnv

__all__ = ["PhysicsEnv", "PhysicsVectorEnv", "ResetNeededError", "make_learned", "make_learned_batch", "make_limited"]
