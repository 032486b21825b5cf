"""Predicts a real double pendulum over half a second, by models learned from other runs and by its makers' own model.

python examples/measured_double_pendulum.py --data FOLDER --json runs/measured_double_pendulum.json

FOLDER holds runs as the repository dfki-ric-underactuated-lab/double_pendulum has them, .csv or .csv.gz: time,
pos_meas1, pos_meas2, vel_filt1, vel_filt2, tau_meas1, tau_meas2. Windows of 0.5 s start every 0.1 s where a joint is
faster than 1 rad/s. Each model starts at the measured angles and filtered velocities and is given the measured torques,
averaged over every 10 ms. What is shown is how far its angles are off afterwards, on average, in rad.
"""

import argparse
from pathlib import Path

import numpy as np

from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import DataError
from hnn_envs.evaluation.records import Row, write_rows
from hnn_envs.recordings.recorded import MovingWindows, load_runs, run_files

SYSTEM, MODELS = "double-pendulum", ("hardware/hnn", "hardware/baseline", "ode")
AHEAD = (0.1, 0.25, 0.5)
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "double_pendulum" / "runs"
ORIGIN = "the runs are in the repository dfki-ric-underactuated-lab/double_pendulum, hardware design C.1"

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, help="folder of the runs; by default HNN_ENVS_DATA, or what stands beside")
parser.add_argument("--json", type=Path, help="file for the rows")
args = parser.parse_args()

grid = MovingWindows(dt=0.01, intervals=50, spacing=10, least_speed=1.0)
columns = {"positions": ["pos_meas1", "pos_meas2"], "velocities": ["vel_filt1", "vel_filt2"]}
columns["inputs"] = ["tau_meas1", "tau_meas2"]
models = {name: make_dynamics(SYSTEM, name, dt=grid.dt) for name in MODELS}
rows = []
print(f"{'run':32} {'model':18}" + "".join(f"{seconds:>9g} s" for seconds in AHEAD))
try:
    files = run_files(args.data or (BESIDE if BESIDE.is_dir() else None), "double_pendulum/runs", ORIGIN)
    windows = {file: [grid.of(run) for run in load_runs(file, time="time", **columns)] for file in files}
except DataError as error:
    parser.error(str(error))
for file, parts in windows.items():
    stem = file.name.removesuffix(".gz").removesuffix(".csv")
    states, torques = (np.concatenate(tables) for tables in zip(*parts, strict=True))
    for name, dynamics in models.items():
        x, errors = states[:, 0], [np.zeros(len(states))]
        for step in range(grid.intervals):
            x = dynamics.step(x, torques[:, step])
            errors.append(np.abs(x - states[:, step + 1])[:, :2].mean(axis=1))
        for seconds in AHEAD if len(states) else ():
            off = errors[round(seconds / grid.dt)]
            spread = float(off.std(ddof=1) / len(off) ** 0.5) if len(off) > 1 else None
            rows.append(Row(stem, SYSTEM, name, f"angle_error_{seconds:g}", float(off.mean()), spread, "rad"))
        shown = "".join(f"{row.value:11.4f}" for row in rows[-len(AHEAD) :]) if len(states) else " nothing moves"
        print(f"{stem:32} {name:18}{shown}")
if args.json is not None:
    args.json.parent.mkdir(parents=True, exist_ok=True)
    write_rows(args.json, rows)
    print(args.json)
