"""The pixel pendulum: everything about a system that is seen in frames, added as packages outside of this one would.

Its camera and its films, the models that are learned from them, how they are fitted, the task, and what is measured.
Importing this makes all of it known by name; nothing else is imported before it is used.
"""

from hnn_envs.fitting import register_loss, register_optimiser
from hnn_envs.ids import register_environment
from hnn_envs.models import register_family
from hnn_envs.recordings import register_source
from hnn_envs.systems import register_system
from hnn_envs.tasks import register_task

register_system("hnn_envs.pixels.system:PIXEL_PENDULUM", "pixel-pendulum")
register_task("hnn_envs.pixels.task:PixelPendulumTask", "pixel-pendulum")
register_environment("PixelPendulum", "pixel-pendulum", 200)
register_family("pixel-separable", "hnn_envs.pixels.models:Config")
register_family("pixel-mlp", "hnn_envs.pixels.models:BaselineConfig")
register_family("pixel-generic", "hnn_envs.pixels.pair_models:Config")
register_family("pixel-generic-mlp", "hnn_envs.pixels.pair_models:BaselineConfig")
register_source("films", "hnn_envs.pixels.source:FilmSource")
register_loss("pairs", "hnn_envs.pixels.pair_loss:PairLoss")
register_loss("film", "hnn_envs.pixels.losses:FilmLoss")
register_loss("film-steps", "hnn_envs.pixels.losses:FilmStepsLoss")
register_loss("reading", "hnn_envs.pixels.losses:ReadingLoss")
register_optimiser("eye-regression", "hnn_envs.pixels.encoder_regression:EncoderRegression")
