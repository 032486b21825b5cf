"""The notebooks in examples run from top to bottom, what takes long in a short form."""

import os
from pathlib import Path

import nbclient
import nbformat
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SHORTER = {
    "your_own_system.ipynb": {
        "minutes=2": 'minutes=0.1, families=["trigonometric", "mlp"]',
        "agent.learn(150_000)": "agent.learn(2_048)",
    },
    "explore.ipynb": {"explorer.run(30.0)": "explorer.run(4.0)", "pendulum.run(20.0)": "pendulum.run(2.0)"},
}
SHOWN = {
    "your_own_system.ipynb": ("predictions stay valid", "from upright"),
    "explore.ipynb": ("of the rehearsals held", "explore.gif", "Exploration("),
}


def read(name):
    return nbformat.read(EXAMPLES / name, as_version=4)


def test_every_notebook_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.ipynb")} == set(SHORTER)


@pytest.mark.parametrize("name", SHORTER)
def test_a_notebook_runs_from_top_to_bottom(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")]))
    notebook = read(name)
    replaced = dict.fromkeys(SHORTER[name], 0)
    for cell in notebook.cells:
        for old, new in SHORTER[name].items():
            replaced[old] += cell.source.count(old) if cell.cell_type == "code" else 0
            cell.source = cell.source.replace(old, new) if cell.cell_type == "code" else cell.source
    assert set(replaced.values()) == {1}
    options = {"timeout": 600, "kernel_name": "python3", "resources": {"metadata": {"path": str(tmp_path)}}}
    nbclient.NotebookClient(notebook, **options).execute()
    shown = "".join(
        str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert all(words in shown for words in SHOWN[name])


@pytest.mark.parametrize("name", SHORTER)
def test_a_notebook_shows_what_it_gave_when_it_was_run_in_full(name):
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell.outputs for cell in cells)
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    assert (EXAMPLES / name).stat().st_size < 200_000
