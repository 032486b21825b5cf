"""A package outside hnn_envs that adds to it: a system with its equations, one known by recordings only, and so on.

Importing it makes everything known by name, as strings: nothing is imported before it is used. What it adds is used
without an edit to hnn_envs, and the tests that are parametrised over the registries run on it.
"""

from pathlib import Path

from hnn_envs.checkpoints import register_checkpoints
from hnn_envs.fitting import register_loss
from hnn_envs.integrators import register_integrator
from hnn_envs.models import register_family
from hnn_envs.recordings import register_source
from hnn_envs.systems import register_system
from hnn_envs.tasks import register_task

FOLDER = Path(__file__).parent

register_system("plugin.duffing:DUFFING", "duffing")
register_system("plugin.bead:BEAD", "bead")
register_system("plugin.cart:CART", "cart")
register_task("plugin.hold:Hold", "duffing-hold")
register_task("plugin.cross:Cross", "duffing-cross")
register_family("polynomial", "plugin.polynomial:Config")
register_source("recorded-cart", "plugin.cart:RecordedCart")
register_loss("scaled-derivative", "plugin.scaled_loss:ScaledLoss")
register_integrator("verlet", "plugin.verlet:VERLET")
register_checkpoints(FOLDER / "checkpoints")
