"""The camera of the pixel pendulum, held against what Gymnasium draws, and the autoencoder that stands in for it."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from frame_models import fitted_autoencoder, wrapped
from gymnasium.envs.classic_control import PendulumEnv
from PIL import Image

from hnn_envs.pixels.autoencoder import BRIGHTEST, Autoencoder
from hnn_envs.pixels.camera import ROD, SEED_WINDOW, Camera

ANGLES = np.random.default_rng(0).uniform(-np.pi, np.pi, 60)


def drawn_by_gymnasium(q: float) -> Any:
    """The screen of Pendulum-v1 before its first step, when there is no arrow."""
    env: Any = PendulumEnv(render_mode="rgb_array")
    env.reset(seed=0)
    env.state = np.array([q + np.pi, 0.0])
    screen = env.render()
    env.close()
    return screen


def errors(read: Any, true: Any = ANGLES) -> Any:
    return np.abs(wrapped(read - true))


# The camera


@pytest.mark.parametrize("size", [28, 64])
@pytest.mark.parametrize("window", [Camera.window, SEED_WINDOW])
@pytest.mark.parametrize("q", [0.0, 0.4, -2.5, np.pi])
def test_a_frame_is_gymnasiums_screen_cut_out_red_less_green_and_made_smaller(
    q: float, window: tuple[int, int, int, int], size: int
) -> None:
    top, bottom, left, right = window
    screen = drawn_by_gymnasium(q).astype(int)
    rod = (screen[..., 0] - screen[..., 1])[top:bottom, left:right].astype(np.uint8)
    expected = np.asarray(Image.fromarray(rod).resize((size, size), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(Camera(size, window).frames(np.array(q)), expected)


def rod_on_the_screen(q: float) -> Any:
    screen = drawn_by_gymnasium(q).astype(int)
    return screen[..., 0] - screen[..., 1]


def test_red_less_green_leaves_the_rod_and_nothing_else() -> None:
    rod = rod_on_the_screen(np.pi / 2)  # to the right
    assert rod.min() == 0
    assert rod[:, 300].max() == rod.max() == ROD
    assert rod[250, 250] == 0  # the axle
    assert not rod[:, :230].any()
    assert not rod[:230].any()


@pytest.mark.parametrize(("window", "largest"), [(Camera.window, np.pi), (SEED_WINDOW, np.pi / 6)])
def test_the_default_window_holds_the_whole_circle_and_the_seeds_a_small_swing(window: Any, largest: float) -> None:
    top, bottom, left, right = window
    for q in np.linspace(-largest, largest, 9):
        rod = rod_on_the_screen(q)
        assert rod[top:bottom, left:right].sum() == rod.sum()


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_frames_of_any_shape_of_angles(shape: tuple[int, ...]) -> None:
    angles = ANGLES[: int(np.prod(shape))].reshape(shape)
    frames = Camera().frames(angles)
    assert (frames.shape, frames.dtype) == ((*shape, 28, 28), np.uint8)
    assert Camera().angle(frames).shape == shape
    for index in np.ndindex(shape):
        np.testing.assert_array_equal(frames[index], Camera().frames(angles[index]))


def test_a_full_turn_is_not_seen() -> None:
    turns = 2 * np.pi * np.array([-3, 1, 100])
    np.testing.assert_array_equal(Camera().frames(0.3 + turns), np.stack([Camera().frames(np.array(0.3))] * 3))


@pytest.mark.parametrize("size", [28, 64])
def test_the_centre_of_brightness_shows_the_angle_to_5_mrad(size: int) -> None:
    camera = Camera(size)
    off = errors(camera.angle(camera.frames(ANGLES)))
    assert off.max() < 5e-3
    assert np.sqrt(np.square(off).mean()) < 2e-3


def test_brightness_has_no_unit_and_darkness_reads_as_zero() -> None:
    camera = Camera()
    frames = camera.frames(ANGLES)
    np.testing.assert_allclose(camera.angle(frames / 255), camera.angle(frames), rtol=1e-12)
    np.testing.assert_array_equal(camera.angle(np.zeros((2, 28, 28), np.uint8)), 0.0)


def test_tensors_are_filmed_and_read_like_arrays() -> None:
    camera = Camera()
    frames = camera.frames(torch.tensor(ANGLES))
    assert frames.dtype == torch.uint8
    np.testing.assert_array_equal(frames.numpy(), camera.frames(ANGLES))
    np.testing.assert_allclose(camera.angle(frames).numpy(), camera.angle(frames.numpy()), rtol=0, atol=1e-14)


def test_a_camera_may_be_copied_and_sent_after_use() -> None:
    camera = Camera(64)
    expected = camera.frames(ANGLES[:2])
    for other in (copy.deepcopy(camera), pickle.loads(pickle.dumps(camera))):  # noqa: S301 - our own bytes
        assert other == camera
        np.testing.assert_array_equal(other.frames(ANGLES[:2]), expected)


def test_filming_needs_no_display_and_opens_none() -> None:
    code = (
        "import os; os.environ.pop('SDL_VIDEODRIVER', None); os.environ.pop('DISPLAY', None)\n"
        "import numpy as np\n"
        "from hnn_envs.pixels.camera import Camera\n"
        "assert Camera().frames(np.zeros(2)).any()\n"
        "import pygame; assert not pygame.display.get_init()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr


# The autoencoder


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    return fitted_autoencoder()


def test_an_autoencoder_reads_what_the_camera_shows_and_shows_what_the_camera_reads(autoencoder: Autoencoder) -> None:
    camera = Camera(autoencoder.size)
    assert errors(autoencoder.angle(camera.frames(ANGLES))).max() < 0.01
    assert errors(camera.angle(autoencoder.frames(ANGLES))).max() < 0.01
    assert errors(autoencoder.angle(autoencoder.frames(ANGLES))).max() < 0.01
    off = (autoencoder.frames(ANGLES).astype(float) - camera.frames(ANGLES)) / BRIGHTEST
    assert np.square(off).mean() < 1e-4


def test_what_a_decoder_shows_are_bytes_of_its_brightness(autoencoder: Autoencoder) -> None:
    bright = autoencoder.brightness(ANGLES)
    assert bright.min() < 0  # Fourier series overshoot, and bytes do not
    expected = np.clip(np.round(255 * bright), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(autoencoder.frames(ANGLES), expected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_autoencoder_is_the_same_wherever_its_weights_and_its_angles_are(
    autoencoder: Autoencoder, dtype: type
) -> None:
    weights = [part.astype(dtype) for part in (autoencoder.encoder, autoencoder.decoder)]
    both = Autoencoder(*weights), Autoencoder(*map(torch.tensor, weights))
    angles = ANGLES.reshape(3, 20)
    for each in both:
        frames = each.frames(angles)
        assert isinstance(frames, np.ndarray)
        tensors = each.frames(torch.tensor(angles))
        assert isinstance(tensors, torch.Tensor)
        assert frames.shape == tuple(tensors.shape) == (3, 20, 28, 28)
        for shown in (frames, tensors.numpy()):  # rounding may cost a level
            np.testing.assert_allclose(shown, autoencoder.frames(angles).astype(int), rtol=0, atol=1)
        np.testing.assert_allclose(each.angle(frames), autoencoder.angle(frames), rtol=0, atol=1e-5)
        np.testing.assert_allclose(each.angle(tensors).numpy(), autoencoder.angle(tensors.numpy()), rtol=0, atol=1e-5)


def test_darkness_is_no_nan_to_an_encoder(autoencoder: Autoencoder) -> None:
    assert np.isfinite(autoencoder.angle(np.zeros((28, 28), np.uint8)))
    blind = Autoencoder(np.zeros_like(autoencoder.encoder), np.zeros_like(autoencoder.decoder))
    assert blind.angle(blind.frames(np.array(1.0))) == 0.0
