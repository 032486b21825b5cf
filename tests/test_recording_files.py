"""Recordings in files: every format gives back what was written, and what is wrong is said with its place."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnn_envs import Recording
from hnn_envs.errors import DataError, InvalidOptionError
from hnn_envs.recordings import tables
from hnn_envs.recordings.recording import Run
from hnn_envs.systems import Coordinate, Input

ENDS = (".csv", ".csv.gz", ".tsv", ".npz", ".npz.gz", ".parquet", ".parquet.gz")
ARM: dict[str, Any] = {"positions": ["q"], "velocities": ["v"], "inputs": ["u"], "angles": ["q"]}


def needs_pyarrow(end: str) -> None:
    if "parquet" in end:
        pytest.importorskip("pyarrow")


def write(folder: Path, text: str, name: str = "arm.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def rows(times: Any, q: Any, v: Any, u: Any) -> str:
    lines = [
        ",".join("" if each is None else repr(float(each)) for each in row) for row in zip(times, q, v, u, strict=True)
    ]
    return "\n".join(["t,q,v,u", *lines]) + "\n"


def recording(measured: bool = True, inputs: int = 2, apart: bool = False) -> Recording:
    """Two runs of an arm of two joints at irregular times."""
    rng = np.random.default_rng(3)
    runs = []
    for number in range(2):
        times = np.cumsum(rng.uniform(0.5, 1.5, 20))
        q = np.cumsum(rng.normal(0.0, 0.4, (20, 2)), axis=0)
        v = rng.normal(size=(20, 2)) if measured else None
        of_inputs = times[0] + np.arange(0.0, 15.0, 0.7) if apart else times[:-1]
        held = rng.normal(size=(len(of_inputs), inputs)) if inputs else np.zeros((1, 0))
        runs.append(Run(f"run {number}", times, q, v, of_inputs if inputs else times[:1], held))
    coordinates = (
        Coordinate("shoulder", "rad", True, "speed", "rad/s"),
        Coordinate("slide, along the rail", "m", False, "speed", "m/s"),
    )
    forces = (Input("torque", "N m"), Input("force", "N"))[:inputs]
    matrix = ((1.0, 0.0), (0.5, -2.0)) if inputs else None
    return Recording("arm", coordinates, forces, tuple(runs), matrix)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "kept",
    [recording(), recording(measured=False), recording(inputs=0), recording(apart=True)],
    ids=["whole", "positions", "free", "apart"],
)
def test_every_format_gives_back_what_was_written(kept: Recording, end: str, tmp_path: Path) -> None:
    needs_pyarrow(end)
    path = tmp_path / f"kept{end}"
    kept.save(path)
    assert Recording.load(path) == kept


@pytest.mark.parametrize("end", ENDS)
def test_the_same_recording_is_the_same_file(end: str, tmp_path: Path) -> None:
    needs_pyarrow(end)
    recording().save(tmp_path / f"a{end}")
    recording().save(tmp_path / f"b{end}")
    assert (tmp_path / f"a{end}").read_bytes() == (tmp_path / f"b{end}").read_bytes()


def test_columns_of_a_file_that_was_written_can_be_named_all_the_same(tmp_path: Path) -> None:
    recording().save(tmp_path / "kept.csv")
    loaded = Recording.load(tmp_path / "kept.csv", ["shoulder"], ["speed"], ["torque"], ["shoulder"], run="run")
    assert loaded.name == "kept"
    np.testing.assert_array_equal(loaded.runs[1].positions[:, 0], recording().runs[1].positions[:, 0])


def test_columns_are_read_by_name_with_units(tmp_path: Path) -> None:
    path = write(tmp_path, "t;extra;q;v;tau\n0;x;0.5;1;2\n0.1;y;0.6;1;2\n0.2;z;0.7;1;\n")
    loaded = Recording.load(
        path, ["q"], ["v"], ["tau"], angles=["q"], units={"tau": "N m"}, drives=["q"], name="my arm"
    )
    assert loaded.name == "my arm"
    assert loaded.coordinates == (Coordinate("q", "rad", True, "v", "rad/s"),)
    assert loaded.inputs == (Input("tau", "N m"),)
    assert loaded.input_matrix == ((1.0,),)
    assert loaded.time_unit == "s"
    (run,) = loaded.runs
    assert run.name == "arm.csv"
    np.testing.assert_array_equal(run.times, [0.0, 0.1, 0.2])
    np.testing.assert_array_equal(run.inputs, [[2.0], [2.0]])
    np.testing.assert_array_equal(run.input_times, [0.0, 0.1])


def test_a_comment_may_name_the_columns(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "arm.csv", np.arange(12.0).reshape(4, 3), delimiter=",", header="t,q,v")
    assert Recording.load(tmp_path / "arm.csv", ["q"], ["v"]).runs[0].velocities.shape == (4, 1)


def test_a_run_is_split_where_a_gap_is(tmp_path: Path) -> None:
    times = np.concatenate([np.arange(10) * 0.1, 5 + np.arange(10) * 0.1, [9.0]])
    path = write(tmp_path, rows(times, times, times, np.arange(21)))
    loaded = Recording.load(path, ["q"], ["v"], ["u"])
    assert [run.name for run in loaded.runs] == ["arm.csv, part 1", "arm.csv, part 2"]  # a single state tells nothing
    assert [len(run.times) for run in loaded.runs] == [10, 10]
    assert [len(run.input_times) for run in loaded.runs] == [10, 10]
    assert len(Recording.load(path, ["q"], ["v"], ["u"], gap=100.0).runs) == 1


def test_runs_of_a_file_are_told_apart_by_a_column(tmp_path: Path) -> None:
    text = "run,t,q,v,u\n" + "".join(f"{name},{step},{step},1,2\n" for name in ("left", "right") for step in range(4))
    loaded = Recording.load(write(tmp_path, text), **ARM | {"run": "run"})
    assert [run.name for run in loaded.runs] == ["arm.csv, run left", "arm.csv, run right"]
    assert loaded.seconds == 6.0


def test_several_files_are_one_recording(tmp_path: Path) -> None:
    paths = [write(tmp_path, rows(range(4), range(4), range(4), range(4)), name) for name in ("a.csv", "b.csv")]
    assert [run.name for run in Recording.load(paths, **ARM).runs] == ["a.csv", "b.csv"]


def test_wrapped_angles_go_on(tmp_path: Path) -> None:
    times = np.arange(200) * 0.1
    angle = 0.3 * times**2
    wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
    path = write(tmp_path, rows(times, wrapped, 0.6 * times, times))
    # At the end it turns by more than half a turn between two rows, which only the velocities tell.
    np.testing.assert_allclose(Recording.load(path, **ARM).runs[0].positions[:, 0], angle, atol=1e-12)
    slow = Recording.load(path, ["q"], None, angles=["q"]).runs[0].positions[:50, 0]
    np.testing.assert_allclose(slow, angle[:50], atol=1e-12)
    assert np.abs(Recording.load(path, ["q"], ["v"]).runs[0].positions).max() <= np.pi


def test_angles_without_jumps_stay_as_they_are(tmp_path: Path) -> None:
    angle = np.random.default_rng(0).uniform(0.0, 3.0, 50) + 40.0
    path = write(tmp_path, rows(range(50), angle, np.zeros(50), np.zeros(50)))
    np.testing.assert_array_equal(Recording.load(path, **ARM).runs[0].positions[:, 0], angle)


def test_inputs_of_other_times_are_held_until_the_next(tmp_path: Path) -> None:
    text = "t,q,v,u\n0,1,0,\n0.5,,,7\n1,2,0,\n1.5,,,8\n2,3,0,\n3,4,0,\n3.5,,,9\n"
    (run,) = Recording.load(write(tmp_path, text), **ARM).runs
    np.testing.assert_array_equal(run.times, [1.0, 2.0, 3.0])  # nobody knows what drove it before 0.5
    np.testing.assert_array_equal(run.input_times, [0.5, 1.5])
    np.testing.assert_array_equal(run.inputs[:, 0], [7.0, 8.0])


def test_inputs_may_be_in_a_file_of_their_own(tmp_path: Path) -> None:
    states = write(tmp_path, "t,q,v\n0,1,0\n1,2,0\n2,3,0\n")
    inputs = write(tmp_path, "time,u\n-1,5\n0.5,6\n", "inputs.csv")
    (run,) = Recording.load(states, **ARM, inputs_from=inputs).runs
    np.testing.assert_array_equal(run.input_times, [-1.0, 0.5])
    assert len(run.times) == 3


def test_columns_of_a_table_in_an_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "arm.npz", t=np.arange(5), q=np.arange(10.0).reshape(5, 2))
    loaded = Recording.load(tmp_path / "arm.npz", ["q[1]", "q[0]"])
    np.testing.assert_array_equal(loaded.runs[0].positions[0], [1.0, 0.0])
    assert loaded.runs[0].velocities is None


def test_times_of_arrow_are_seconds(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    stamps = arrow.array([1_700_000_000_000_000_000 + 250_000_000 * step for step in range(4)], arrow.timestamp("ns"))
    parquet.write_table(arrow.table({"time": stamps, "q": [1, 2, 3, 4]}), tmp_path / "arm.parquet")
    np.testing.assert_array_equal(Recording.load(tmp_path / "arm.parquet", ["q"]).runs[0].times, [0, 0.25, 0.5, 0.75])


def test_a_share_of_every_run_is_kept_apart() -> None:
    whole = recording()
    first, last = whole.split(0.25)
    assert [len(run.times) for run in first.runs] == [15, 15]
    assert [len(run.times) for run in last.runs] == [5, 5]
    for run in (*first.runs, *last.runs):
        assert run.input_times[0] <= run.times[0]
    with pytest.raises(InvalidOptionError, match="share must be between 0 and 1, not 1"):
        whole.split(1.0)
    with pytest.raises(InvalidOptionError, match="too short"):
        whole.split(0.01)


def test_recordings_say_in_short_what_they_are() -> None:
    assert repr(recording()).startswith("Recording('arm', shoulder, slide, along the rail: 2 runs, ")
    assert repr(recording().runs[0]) == "Run('run 0', 20 states, 19 inputs)"
    assert recording() != recording(apart=True)


FAULTS = {
    "t,q,v,u\n0,1,0,0\n1,x,0,0\n2,1,0,0\n": "column 'q', row 3: 'x' is no finite number",
    "t,q,v,u\n0,1,0,0\n1,1,nan,0\n2,1,0,0\n": "column 'v', row 3: 'nan' is no finite number",
    "t,q,v,u\n0,1,0,-inf\n1,1,0,0\n2,1,0,0\n": "column 'u', row 2: '-inf' is no finite number",
    "t,q,v,u\n0,1,0,0\n1,1e200,0,0\n2,1,0,0\n": r"column 'q', row 3: 1e\+200 is no measurement",
    "t,q,v,u\n0,1,0,0\n\n1,1,0,0\n0.5,1,0,0\n": "column 't', row 5: time 0.5 does not come after 1, in row 4; if runs",
    "t,q,v,u\n0,1,0,0\n1,1,0,0\n1,1,0,0\n": "column 't', row 4: time 1 is there twice, also in row 3",
    "t,q,v,u\n0,1,0,0\n1,1,,0\n2,1,0,0\n": "column 'v', row 3: it is empty .or NaN., and column 'q' is not",
    "t,q,v,u\n0,1,0,0\n,1,1,0\n2,1,0,0\n": "column 't', row 3: the time is missing",
    "t,q,v,u\n0,1,0,0\n1,1,0\n2,1,0,0\n": "row 3 has 3 cells; there are 4 columns",
    "t,q,v,u\n0,1,0,0\n": "too few rows: no stretch without a gap has 2 rows .* the longest run has 1 rows",
    "t,q,v,u\n0,1,0,\n1,1,0,\n": "no row has inputs, in column 'u'",
    "t,q,v,u\n": "has no rows below the names of its columns",
    "t,q,v\n0,1,0\n": "there is no column 'u'; it has 't', 'q', 'v'",
    "t,q,v,u,u\n0,1,0,0,0\n": "2 columns are called 'u'",
    "stamp,q,v,u\n0,1,0,0\n": "there is no column 't' or 'time'; name the time's with time=; it has 'stamp'",
    "0,1,0,0\n1,1,0,0\n": "row 1 should name the columns, and has numbers",
    "t,q,v,u\n0,170,0,0\n1,-175,0,0\n2,1,0,0\n": "column 'q', row 3: the angle jumps by 345, so it seems to be in deg",
    't,q,v,u\n0,1,0,"' + "1" * 200_000 + '"\n': "row 2: field larger than field limit",
    "": "is empty",
    "\n\n": "has no rows",
}


@pytest.mark.parametrize("text", FAULTS)
def test_faults_of_a_file_have_their_message(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=FAULTS[text]) as caught:
        Recording.load(path, **ARM)
    assert str(path) in str(caught.value)


def test_a_column_of_nearly_this_name_is_suggested(tmp_path: Path) -> None:
    path = write(tmp_path, "t,position,velocity\n0,1,0\n")
    with pytest.raises(DataError, match="did you mean position"):
        Recording.load(path, ["positon"])


def test_a_run_without_inputs_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "run,t,q,v,u\na,0,1,0,0\na,1,1,0,0\nb,0,1,0,\nb,1,1,0,\n")
    with pytest.raises(DataError, match="run b has no inputs"):
        Recording.load(path, **ARM, run="run")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("arm.csv", b"t,q\n0,1\n1,\xff\n", "row 3 is no UTF-8 text"),
        ("arm.csv.gz", b"t,q\n0,1\n", "is no whole gzip file"),
        ("arm.csv.gz", gzip.compress(b"t,q\n0,1\n" * 99, mtime=0)[:-9], "is no whole gzip file"),
        ("arm.npz", b"PK damaged", "is no npz archive"),
        ("arm.npz", b"", "is empty"),
    ],
)
def test_damaged_files_are_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        Recording.load(tmp_path / name, ["q"])


def npz(member: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("q.npy", member)
    return buffer.getvalue()


def header(shape: str, kind: str = "<f8") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (header("(1000000000000,)"), "its shape .* does not fit its size"),
        (header("(1,)", "|O") + b"\x80\x04N.....", "its type is object"),
        (b"nonsense", "no readable array"),
    ],
)
def test_crafted_archives_are_refused(member: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "arm.npz").write_bytes(npz(member))
    with pytest.raises(DataError, match=message):
        Recording.load(tmp_path / "arm.npz", ["q"])


def test_arrays_of_different_lengths_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "arm.npz", t=np.arange(5), q=np.arange(4.0))
    with pytest.raises(DataError, match="columns must have as many rows: 't' 5, 'q' 4"):
        Recording.load(tmp_path / "arm.npz", ["q"])


def test_text_and_infinities_in_an_archive_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "arm.npz", t=np.arange(3), q=np.array(["a", "b", "c"]), r=[0.0, np.inf, 1.0])
    with pytest.raises(DataError, match="column 'q', row 1: 'a' is no number"):
        Recording.load(tmp_path / "arm.npz", ["q"])
    with pytest.raises(DataError, match="column 'r', row 2: inf is no measurement"):
        Recording.load(tmp_path / "arm.npz", ["r"])


def test_faults_of_parquet_are_told(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "arm.parquet"
    columns = {"t": [0.0, 1.0, 2.0], "q": ["a", "b", "c"], "r": [0.0, float("nan"), 1.0], "s": [0.0, None, 1.0]}
    parquet.write_table(arrow.table(columns), path)
    with pytest.raises(DataError, match="column 'q', row 1: 'a' is of type string, which is no number"):
        Recording.load(path, ["q"])
    with pytest.raises(DataError, match="column 'r', row 2: nan is no finite number"):
        Recording.load(path, ["r"])
    with pytest.raises(DataError, match="column 's', row 2: it is empty"):
        Recording.load(path, ["t", "s"], time="t")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="is no readable Parquet file"):
        Recording.load(path, ["q"])


def test_files_that_are_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="does not exist"):
        Recording.load(tmp_path / "none.csv", ["q"])
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a folder, not a file"):
        Recording.load(tmp_path / "folder.csv", ["q"])
    with pytest.raises(InvalidOptionError, match=r"does not say what is in it; allowed: \.csv, \.tsv"):
        Recording.load(tmp_path / "arm.xlsx", ["q"])
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"t,q\n" + b"0,0\n" * 500_000))
    monkeypatch.setattr("hnn_envs.recordings.formats.LARGEST_FILE", 2**20)
    with pytest.raises(DataError, match="has more than 1 MiB once it is unpacked"):
        Recording.load(tmp_path / "bomb.csv.gz", ["q"])


def test_rows_that_do_not_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnn_envs.memory._machine_memory", lambda: 1000.0)
    with pytest.raises(DataError, match="would take"):
        Recording.load(write(tmp_path, rows(range(9), range(9), range(9), range(9))), **ARM)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positions": []}, "positions must name at least one column"),
        ({"positions": "q"}, "positions must be a list of names"),
        ({"velocities": ["v", "u"], "inputs": []}, "velocities must name 1 columns"),
        ({"angles": ["p"]}, "angles name positions; 'p' is none"),
        ({"inputs": ["v"]}, "column 'v' is named twice"),
        ({"units": {"w": "N"}}, "units are given for column 'w', which is not read"),
        ({"units": {"q": "deg"}}, "angles are in rad, and 'q' is said to be in 'deg'"),
        ({"drives": ["v"]}, "drives must name a position for each of the 1 inputs"),
        ({"drives": ["q"], "input_matrix": [[1.0]]}, "give drives or input_matrix, not both"),
        ({"input_matrix": [[1.0, 2.0]]}, "input_matrix needs 1 rows of 1 numbers"),
        ({"input_matrix": [[np.nan]]}, "input_matrix must be finite"),
        ({"gap": 0.5}, "gap must be more than 1, not 0.5"),
        ({"name": "a/b"}, "a system's name is printable"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path, rows(range(4), range(4), range(4), range(4)))
    with pytest.raises(InvalidOptionError, match=message):
        Recording.load(path, **ARM | options)


def test_columns_must_be_named_where_a_file_does_not_say_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match=r"name the columns of .* it has 't', 'q', 'v', 'u'"):
        Recording.load(write(tmp_path, "t,q,v,u\n0,0,0,0\n"))
    recording().save(tmp_path / "kept.csv")
    text = (tmp_path / "kept.csv").read_text()
    with pytest.raises(DataError, match="another version"):
        Recording.load(write(tmp_path, text.replace('"format": 1', '"format": 2')))
    with pytest.raises(DataError, match="no JSON"):
        Recording.load(write(tmp_path, text.replace("{", "", 1)))


def test_long_files_are_read_in_time(tmp_path: Path) -> None:
    count = 3 * 10_000 + 7  # more than is read at a time
    path = write(tmp_path, rows(np.arange(count), np.arange(count) / 7, np.arange(count), np.zeros(count)))
    (run,) = Recording.load(path, ["q"], ["v"], ["u"]).runs
    np.testing.assert_array_equal(run.positions[:, 0], np.arange(count) / 7)
    assert path.stat().st_size < tables.LARGEST_FILE


class Episode:
    id = 4
    observations = np.stack([np.cos(np.arange(6) * 0.5), np.sin(np.arange(6) * 0.5), np.full(6, 5.0)], axis=-1)
    actions = np.arange(5.0)[:, None]


class Minari:
    def iterate_episodes(self) -> list[Episode]:
        return [Episode(), Episode()]


def pendulum_state(seen: Any) -> Any:
    return np.arctan2(seen[:, 1], seen[:, 0])[:, None], seen[:, 2:]


def test_episodes_are_runs() -> None:
    taken = Recording.from_minari(
        Minari(), dt=0.1, observation=pendulum_state, positions=["q"], inputs=["u"], angles=["q"], drives=["q"]
    )
    assert [run.name for run in taken.runs] == ["minari, episode 4"] * 2
    np.testing.assert_allclose(taken.runs[0].positions[:, 0], np.arange(6) * 0.5)
    np.testing.assert_array_equal(taken.runs[0].inputs[:, 0], np.arange(5.0))
    assert taken.coordinates[0] == Coordinate("q", "rad", True, "q'", "rad/s")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observation": lambda seen: seen}, r"positions have shape \(6, 3\), and \(n, 1\) is expected"),
        ({"action": lambda actions: actions[:-1]}, r"inputs have shape \(4, 1\), and \(5, 1\)"),
        ({"action": lambda actions: actions * np.nan}, "inputs, column 0, row 1: nan is no measurement"),
    ],
)
def test_faults_of_episodes_are_told(options: dict[str, Any], message: str) -> None:
    asked: dict[str, Any] = {"observation": pendulum_state, "positions": ["q"], "inputs": ["u"]}
    with pytest.raises(DataError, match=message):
        Recording.from_minari(Minari(), dt=0.1, **asked | options)


@pytest.mark.parametrize("kind", ["hdf5", "arrow"])
def test_minari_datasets_are_read(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("h5py" if kind == "hdf5" else "pyarrow")
    minari = pytest.importorskip("minari")
    import gymnasium

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    from minari.data_collector import EpisodeBuffer

    env = gymnasium.make("Pendulum-v1")
    buffers = []
    for seed in range(2):
        seen, actions = [env.reset(seed=seed)[0]], [env.action_space.sample() for _ in range(10)]
        seen += [env.step(action)[0] for action in actions]
        ends = {"rewards": [0.0] * 10, "terminations": [False] * 10, "truncations": [False] * 9 + [True]}
        buffers.append(EpisodeBuffer(id=seed, observations=np.array(seen), actions=np.array(actions), **ends))
    minari.create_dataset_from_buffers(
        "test/pendulum-v0",
        buffers,
        env="Pendulum-v1",
        eval_env="Pendulum-v1",
        data_format=kind,
        author="nobody",
        description="a test",
    )
    taken = Recording.from_minari(
        "test/pendulum-v0", dt=0.05, observation=pendulum_state, positions=["q"], inputs=["u"], angles=["q"]
    )
    assert [len(run.times) for run in taken.runs] == [11, 11]
    assert taken.name == "test-pendulum-v0"
    assert np.abs(np.diff(taken.runs[0].positions[:, 0])).max() < 0.5
    with pytest.raises(DataError, match="there is no Minari dataset"):
        Recording.from_minari("test/none-v0", dt=0.05, observation=pendulum_state, positions=["q"])
