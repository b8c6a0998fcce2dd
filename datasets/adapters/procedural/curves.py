"""Curves over time: minimum-jerk key frames, cycles with human jitter, involuntary movement."""

import numpy as np

LOW_PASS = 6.0  # Hz; voluntary and postural movement has next to nothing above


def minimum_jerk(u: np.ndarray) -> np.ndarray:
    """The smooth step 10u^3 - 15u^4 + 6u^5 (Flash and Hogan 1985), 0 before u=0 and 1 after u=1."""
    u = np.clip(u, 0.0, 1.0)
    return u**3 * (10 - 15 * u + 6 * u**2)


def key_frames(t: np.ndarray, times: list[float], values: list[float]) -> np.ndarray:
    """(T,) values that rest at each (time, value) and go from one to the next by minimum jerk."""
    out = np.full(len(t), float(values[0]))
    for start, end, step in zip(times, times[1:], np.diff(values), strict=False):
        out += step * minimum_jerk((t - start) / (end - start))
    return out


def smooth_noise(
    rng: np.random.Generator, t: np.ndarray, correlation: np.ndarray | float, size: int
) -> np.ndarray:
    """(T, size) unit-variance Ornstein-Uhlenbeck noise, low-passed at `LOW_PASS`.

    Made in the frequency domain: white noise times the square root of the OU spectrum and of a
    fourth-order Butterworth low-pass.

    Args:
        rng: source of randomness.
        t: (T,) seconds, evenly spaced.
        correlation: seconds, one number or (size,).
        size: number of independent series.
    """
    step = t[1] - t[0]
    # Twice the length, because what comes out of the transform is periodic.
    frequency = np.fft.rfftfreq(2 * len(t), step)[:, None]
    gain = 1 / np.sqrt(1 + (2 * np.pi * frequency * correlation) ** 2)
    gain = gain / np.sqrt(1 + (frequency / LOW_PASS) ** 8)
    gain = gain / np.sqrt(np.mean(gain**2, axis=0))
    white = rng.standard_normal((2 * len(t), size))
    return np.fft.irfft(np.fft.rfft(white, axis=0) * gain, 2 * len(t), axis=0)[: len(t)]


def cycle_phase(
    rng: np.random.Generator, t: np.ndarray, frequency: float, start: float | None = None
) -> np.ndarray:
    """(T,) phase in cycles of a movement repeated at `frequency` Hz, period jitter 2.5 %."""
    jitter = 1 + 0.025 * smooth_noise(rng, t, 1 / frequency, 1)[:, 0]
    first = rng.uniform() if start is None else start
    return first + frequency * (t[1] - t[0]) * (np.cumsum(jitter) - jitter[0])


def cycle_amplitude(rng: np.random.Generator, t: np.ndarray, frequency: float) -> np.ndarray:
    """(T,) factor around 1: no two cycles are equally large (4.5 %)."""
    return 1 + 0.045 * smooth_noise(rng, t, 1 / frequency, 1)[:, 0]


def wave(phase: np.ndarray) -> np.ndarray:
    """Cosine of a phase in cycles: 1 at phase 0."""
    return np.cos(2 * np.pi * phase)
