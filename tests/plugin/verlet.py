"""An integrator: velocity Verlet, half a kick, a drift, and half a kick."""

from hnn_envs.integrators import Integrator, Splitting

# Swope, Andersen, Berens, Wilson, J. Chem. Phys. 76 (1982) 637.
VERLET = Integrator("verlet", 2, symplectic=True, separable_only=True, method=Splitting((0.0, 1.0, 0.0), (0.5, 0.5)))
