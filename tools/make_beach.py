# SPDX-License-Identifier: Apache-2.0
"""Paint the demo background: a late-afternoon beach, slightly out of focus.

Everything is computed (volumetric clouds, a reflecting sea, surf, wet and dry sand, a palm), so the
picture needs no download and carries no one else's rights. The seed is fixed: each run gives the same
picture.

    python tools/make_beach.py OUT.jpg
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Span = Array | float
Point = tuple[float, float]
Vec = tuple[float, float, float]

SEED = 20240607
W, H = 1920, 1080
HORIZON = 432.0  # image row of the horizon
FOCAL = 1662.0  # pixels: a 60 degree horizontal view
CX = W / 2
CAMERA = 2.1  # metres above the sand
SKY_TOP = -900  # first row of the sky canvas; rows above the picture are there to be reflected
SUN_AZ, SUN_EL = math.radians(21.0), math.radians(19.0)
SUN: Vec = (math.sin(SUN_AZ) * math.cos(SUN_EL), math.sin(SUN_EL), math.cos(SUN_AZ) * math.cos(SUN_EL))
SUN_RGB: Vec = (1.0, 0.80, 0.56)
BEACH_ANGLE = math.radians(54.0)  # how far the shoreline turns from the line of sight
SHORE = 10.4  # metres from the camera's foot to the waterline
TILE, CELL = 512, 8  # noise tile size and pixels in one noise wavelength


def f32(values: object) -> Array:
    """Return values as a float32 array."""
    return np.asarray(values, dtype=np.float32)


def smooth(low: float, high: float, x: Array) -> Array:
    """Hermite step from 0 at low to 1 at high."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return f32(t * t * (3.0 - 2.0 * t))


def rgb(colour: Vec) -> Array:
    """Return a colour as an array that broadcasts over a picture."""
    return f32(colour)


def mix(a: Array, b: Array, weight: Array) -> Array:
    """Blend two colour pictures by a one-channel weight."""
    w = weight[..., None]
    return f32(a * (1.0 - w) + b * w)


def blur(image: Array, sigma: float, sigma_y: float = 0.0) -> Array:
    """Gaussian blur that keeps the borders."""
    return f32(cv2.GaussianBlur(image, (0, 0), sigma, sigmaY=sigma_y, borderType=cv2.BORDER_REFLECT_101))


def lookup(image: Array, x: Array, y: Array, wrap: bool = False) -> Array:
    """Sample an image bilinearly at float positions of any shape."""
    border = cv2.BORDER_WRAP if wrap else cv2.BORDER_REPLICATE
    count, width = x.size, 2048
    rows = -(-count // width)
    flat = np.zeros((2, rows * width), np.float32)
    flat[0, :count], flat[1, :count] = x.ravel(), np.broadcast_to(y, x.shape).ravel()
    map_x, map_y = flat.reshape(2, rows, width)
    got = f32(cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=border))
    return got.reshape(rows * width, -1)[:count].reshape(*x.shape, -1)


class Noise:
    """Smooth, endlessly repeating noise with slopes, looked up from one band-limited tile."""

    def __init__(self, rng: np.random.Generator) -> None:
        fy = np.fft.fftfreq(TILE)[:, None] * CELL
        fx = np.fft.rfftfreq(TILE)[None, :] * CELL
        radius = np.hypot(fx, fy)
        band = np.exp(-(((radius - 0.75) / 0.35) ** 2))
        spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE))) * band
        tile = np.fft.irfft2(spectrum, s=(TILE, TILE))
        tile /= tile.std() * 2.0
        slope_x = (np.roll(tile, -1, 1) - np.roll(tile, 1, 1)) * (CELL / 2)
        slope_y = (np.roll(tile, -1, 0) - np.roll(tile, 1, 0)) * (CELL / 2)
        self.tile = f32(np.dstack([tile, slope_x, slope_y]))

    def sample(self, u: Array, v: Array) -> Array:
        """Value and both slopes (last axis) at (u, v), in wavelengths; the value's spread is 0.5."""
        return lookup(self.tile, np.mod(u * CELL, TILE), np.mod(v * CELL, TILE), wrap=True)

    def value(self, u: Array, v: Array) -> Array:
        """Value alone."""
        return self.sample(u, v)[..., 0]

    def fbm(self, u: Array, v: Array, octaves: int, footprint: Span = 0.0, gain: float = 0.5) -> Array:
        """Fractal sum (value, slopes); octaves finer than the pixel footprint fade out."""
        total = np.zeros((*u.shape, 3), np.float32)
        for k in range(octaves):
            freq, turn = 2.03**k, 0.4 + 1.13 * k
            c, s = math.cos(turn) * freq, math.sin(turn) * freq
            got = self.sample(f32(c * u - s * v + 7.7 * k), f32(s * u + c * v + 3.1 * k))
            keep = f32(np.clip(1.6 - 2.2 * freq * f32(footprint), 0.0, 1.0) * gain**k)
            total[..., 0] += got[..., 0] * keep
            total[..., 1] += (c * got[..., 1] + s * got[..., 2]) * keep
            total[..., 2] += (c * got[..., 2] - s * got[..., 1]) * keep
        return total


# ---------------------------------------------------------------- sky


def sun_cosine(x: Array, y: Array, z: Array) -> Array:
    """Cosine of the angle between unit directions and the sun."""
    return f32(np.clip(x * SUN[0] + y * SUN[1] + z * SUN[2], -1.0, 1.0))


def clear_sky(x: Array, y: Array, z: Array) -> Array:
    """Linear colour of the cloudless sky in the unit directions (x, y, z)."""
    up = np.clip(y, 0.0, 1.0)[..., None]
    zenith, middle, low = rgb((0.045, 0.15, 0.44)), rgb((0.16, 0.40, 0.69)), rgb((0.92, 0.70, 0.47))
    sky = zenith + (middle - zenith) * np.exp(-up / 0.24) + (low - middle) * np.exp(-up / 0.055)
    angle = np.arccos(sun_cosine(x, y, z))[..., None]
    sky = sky + rgb((1.5, 1.08, 0.62)) * np.exp(-angle / 0.075)
    return f32(sky + rgb((0.36, 0.28, 0.12)) * np.exp(-angle / 0.24))


class Volume:
    """Repeating 3-D fractal noise for the clouds."""

    size = 128

    def __init__(self, rng: np.random.Generator) -> None:
        n = self.size
        f = np.fft.fftfreq(n) * n
        g = np.fft.rfftfreq(n) * n
        radius = np.sqrt(f[:, None, None] ** 2 + f[None, :, None] ** 2 + g[None, None, :] ** 2)
        amplitude = np.where(radius < 3.0, 0.0, np.maximum(radius, 1.0) ** -2.75)
        spectrum = np.fft.rfftn(rng.standard_normal((n, n, n))) * amplitude
        field = np.fft.irfftn(spectrum, s=(n, n, n), axes=(0, 1, 2))
        self.field = f32(field / field.std()).ravel()

    def sample(self, x: Array, y: Array, z: Array) -> Array:
        """Trilinear value at positions in periods of the noise."""
        n = self.size
        base, part = [], []
        for axis in (x, y, z):
            scaled = np.mod(axis, 1.0) * n
            whole = np.floor(scaled)
            base.append(whole.astype(np.int32))
            part.append(f32(scaled - whole))
        total = np.zeros(x.shape, np.float32)
        for corner in range(8):
            index = np.zeros(x.shape, np.int32)
            weight = np.ones(x.shape, np.float32)
            for axis_no in range(3):
                step = corner >> axis_no & 1
                index = index * n + ((base[axis_no] + step) & (n - 1))
                weight = weight * (part[axis_no] if step else 1.0 - part[axis_no])
            total += weight * self.field[index]
        return total


CLOUD_BASE, CLOUD_DEPTH = 850.0, 1000.0


def cloud_density(volume: Volume, noise: Noise, x: Array, y: Array, z: Array) -> Array:
    """Cumulus density (0 to 1) at points in metres."""
    rise = (y - CLOUD_BASE) / CLOUD_DEPTH
    cover = noise.value(x / 3300.0 + 3.3, z / 4600.0 + 9.4) + 0.35 * noise.value(x / 1100.0, z / 1500.0)
    body = cover - 0.58 - 0.95 * np.clip(rise, 0.0, 2.0)
    out = np.zeros(x.shape, np.float32)
    near = (body > -0.75) & (rise > 0.0) & (rise < 1.0)
    if not near.any():
        return out
    px, py, pz = x[near], y[near], z[near]
    billow = 0.26 * volume.sample(px / 3800.0, py / 3300.0, pz / 3800.0)
    billow += 0.07 * volume.sample(px / 900.0, py / 900.0 + 0.3, pz / 900.0)
    out[near] = np.clip((body[near] + billow) * 4.0, 0.0, 1.0) * smooth(0.0, 0.09, f32(rise[near]))
    return out


def sunlight(volume: Volume, noise: Noise, x: Array, y: Array, z: Array) -> Array:
    """Share of the sun's light that reaches points inside the clouds."""
    depth = np.zeros(x.shape, np.float32)
    reached = 0.0
    for step in (35.0, 60.0, 110.0, 200.0, 320.0):
        reached += step
        depth += step * cloud_density(
            volume, noise, f32(x + SUN[0] * reached), f32(y + SUN[1] * reached), f32(z + SUN[2] * reached)
        )
    tau = depth * 0.016
    return f32(0.55 * np.exp(-tau) + 0.30 * np.exp(-0.28 * tau) + 0.15 * np.exp(-0.08 * tau))


def march_clouds(rng: np.random.Generator, noise: Noise, x: Array, y: Array, z: Array) -> tuple[Array, Array]:
    """Colour the clouds add, and the share of the sky seen through them, for unit directions."""
    volume = Volume(rng)
    steps = 80
    slant = np.maximum(y, 0.012)
    first, last = CLOUD_BASE / slant, np.minimum((CLOUD_BASE + CLOUD_DEPTH) / slant, 34000.0)
    stride = np.maximum(last - first, 0.0) / steps
    jitter = f32(rng.random(x.shape))
    glow = np.zeros((*x.shape, 3), np.float32)
    through = np.ones(x.shape, np.float32)
    phase = 0.62 + 0.55 * sun_cosine(x, y, z) ** 8
    for k in range(steps):
        reach = f32(first + (k + jitter) * stride)
        px, py, pz = f32(x * reach), f32(y * reach), f32(z * reach)
        density = cloud_density(volume, noise, px, py, pz)
        hit = (density > 0.0) & (through > 0.01) & (stride > 0.0)
        if not hit.any():
            continue
        lit = sunlight(volume, noise, px[hit], py[hit], pz[hit]) * phase[hit]
        rise = f32((py[hit] - CLOUD_BASE) / CLOUD_DEPTH)
        colour = lit[:, None] * rgb((1.85, 1.42, 0.98))
        colour = colour + (0.42 + 0.50 * rise)[:, None] * rgb((0.44, 0.50, 0.62))
        haze = np.exp(-reach[hit] / 21000.0)[:, None]
        colour = colour * haze + clear_sky(x[hit], y[hit], z[hit]) * (1.0 - haze)
        stop = 1.0 - np.exp(-density[hit] * stride[hit] * 0.011)
        glow[hit] += (through[hit] * stop)[:, None] * colour
        through[hit] *= 1.0 - stop
    return glow, through


def paint_sky(rng: np.random.Generator, noise: Noise) -> Array:
    """Sky canvas: rows SKY_TOP to the horizon, in linear light."""
    rows = int(HORIZON) - SKY_TOP
    scale = 2.4
    small_w, small_h = int(W / scale), int(rows / scale)
    gx, gy = np.meshgrid((np.arange(small_w) + 0.5) * scale, (np.arange(small_h) + 0.5) * scale + SKY_TOP)
    x, y, z = unit(f32((gx - CX) / FOCAL), f32((HORIZON - gy) / FOCAL))
    glow, through = march_clouds(rng, noise, x, y, z)
    painted = blur(f32(np.dstack([glow, through])), 0.8)
    painted = f32(cv2.resize(painted, (W, rows), interpolation=cv2.INTER_CUBIC))
    gx, gy = np.meshgrid(np.arange(W), np.arange(rows) + SKY_TOP)
    sky = clear_sky(*unit(f32((gx - CX) / FOCAL), f32((HORIZON - gy) / FOCAL)))
    return f32(sky * painted[..., 3:] + painted[..., :3])


def unit(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Unit directions of the rays (x, y, 1)."""
    inverse = f32(1.0 / np.sqrt(x * x + y * y + 1.0))
    return f32(x * inverse), f32(y * inverse), inverse


def headland(sky: Array, noise: Noise) -> None:
    """Paint two hazy headlands on the horizon, at the left."""
    xs = f32(np.arange(W))
    rows = f32(np.arange(sky.shape[0]) + SKY_TOP)[:, None]
    haze = rgb((0.50, 0.53, 0.56))
    for top, reach, land, veil, row in (
        (40.0, 900.0, (0.16, 0.22, 0.24), 0.62, 0.3),
        (74.0, 560.0, (0.07, 0.12, 0.07), 0.36, 5.2),
    ):
        shape = np.clip(1.0 - xs / reach, 0.0, 1.0) ** 0.62
        ridge = noise.fbm(f32(xs / 330.0), f32(xs * 0 + row), 5)[:, 0]
        height = top * shape * (0.86 + 0.34 * ridge)
        cover = smooth(-1.0, 1.0, f32(height[None, :] - (HORIZON - rows)))
        cover *= (height > 0.5)[None, :]
        u, v = xs[None, :] / 26.0 + rows * 0, rows / 13.0 + row + xs[None, :] * 0
        grain = noise.fbm(f32(u), f32(v), 3)[..., 0]
        colour = rgb(land) * (1.0 + 0.55 * grain)[..., None]
        sky[:] = mix(sky, f32(colour * (1 - veil) + haze * veil), cover)


# ---------------------------------------------------------------- ground


@dataclass(frozen=True)
class Ground:
    """Where each pixel below the horizon meets the ground or the sea."""

    x: Array
    z: Array
    off: Array  # metres out to sea from the mean waterline
    along: Array  # metres along the shore
    step: Array  # metres of ground one pixel row covers
    edge: Array  # metres out to sea from this moment's waterline
    view: tuple[Array, Array, Array]


def shore_frame(x: Array, z: Array) -> tuple[Array, Array]:
    """Offshore and alongshore distances of ground points."""
    c, s = math.cos(BEACH_ANGLE), math.sin(BEACH_ANGLE)
    along = f32(-s * x + c * z)
    off = c * x + s * z - SHORE
    bay = 0.0011 * np.clip(along, 0.0, 90.0) ** 2
    return f32(off + bay), along


def swell(noise: Noise, off: Array, along: Array) -> tuple[Array, Array, Array]:
    """Height of the swell, position in the wave (0 at the crest, negative in front) and how it breaks."""
    bent = off + 1.1 * noise.value(along / 26.0, off / 70.0) + 0.25 * noise.value(along / 7.0, off / 30.0 + 4)
    phase = 2.5 * np.log1p(np.maximum(bent, -8.0) / 13.0) - 0.10
    crest = np.round(phase)
    d = f32(phase - crest)
    lively = noise.value(f32(along / 21.0 + crest * 3.7), f32(crest * 5.3))
    size = 0.50 * smooth(0.5, 9.0, off) * (1.0 - 0.72 * smooth(35.0, 130.0, off)) * (0.75 + 0.5 * lively)
    width = np.where(d < 0.0, 0.085, 0.21)
    breaking = smooth(-0.25, 0.35, f32(lively + 0.35 - 0.010 * off)) * smooth(1.0, 4.0, off)
    return f32(size * np.exp(-((d / width) ** 2))), d, f32(breaking * (1.0 - smooth(60.0, 110.0, off)))


def trace_ground(noise: Noise) -> Ground:
    """Follow each pixel's ray to the sea's swell or the flat sand."""
    px, py = np.meshgrid(np.arange(W), np.arange(int(HORIZON) + 1, H))
    tan_x, drop = f32((px - CX) / FOCAL), f32((py - HORIZON) / FOCAL)
    near, far = (CAMERA - 0.75) / drop, CAMERA / drop
    reach = f32(far.copy())
    open_ray = np.ones(px.shape, bool)
    before = f32(near)
    for k in range(1, 41):
        z = f32(near + (far - near) * k / 40)
        off, along = shore_frame(f32(tan_x * z), z)
        height = swell(noise, off, along)[0]
        hit = open_ray & (CAMERA - drop * z <= height)
        reach[hit] = 0.5 * (z + before)[hit]
        open_ray &= ~hit
        before = z
    x, z = f32(tan_x * reach), reach
    off, along = shore_frame(x, z)
    lobes = 1.0 * noise.value(along / 9.0, along * 0 + 2.2) + 0.22 * noise.value(along / 2.4, off / 9.0)
    step = f32(reach / FOCAL * np.maximum(reach / CAMERA * 0.5, 1.0))
    return Ground(x, z, off, along, step, f32(off - lobes), unit(tan_x, f32(-drop)))


def reflect_sky(sky: Array, view: tuple[Array, Array, Array], nx: Array, nz: Array, lift: Array) -> Array:
    """Sky colour mirrored by a surface of slopes (nx, nz); lift raises the mirrored ray for rough water."""
    x, y, z = view
    inverse = 1.0 / np.sqrt(nx * nx + nz * nz + 1.0)
    dot = (nx * x + y + nz * z) * inverse
    rx, rz = x - 2 * dot * nx * inverse, z - 2 * dot * nz * inverse
    ry = np.abs(y - 2 * dot * inverse) + lift
    ahead = np.maximum(rz, 0.2)
    return lookup(sky, f32(CX + FOCAL * rx / ahead), f32(HORIZON - FOCAL * ry / ahead - SKY_TOP))


def fresnel(view: tuple[Array, Array, Array], nx: Array, nz: Array, rough: Array) -> Array:
    """Share of light water mirrors."""
    x, y, z = view
    cosine = np.clip(-(nx * x + y + nz * z) / np.sqrt(nx * nx + nz * nz + 1.0), 0.0, 1.0)
    return f32(0.02 + 0.98 * (1.0 - np.clip(cosine + 0.35 * rough, 0.0, 1.0)) ** 5)


def ripples(noise: Noise, g: Ground) -> tuple[Array, Array, Array]:
    """Slopes (x, z) of the sea's small waves, and the roughness of those too fine to see."""
    wind = f32(g.x * 0.75 + g.z * 0.2), f32(g.z * 1.25 - g.x * 0.15)
    waves = noise.fbm(f32(wind[0] / 2.6), f32(wind[1] / 2.0), 6, f32(g.step / 2.2), gain=0.46)
    far = smooth(14.0, 90.0, g.z)
    streak = noise.fbm(f32(g.x / (0.5 + 0.055 * g.z)), f32(26.0 * np.log(g.z)), 4, gain=0.62)
    patch = 1.0 + 0.5 * noise.value(f32(g.x / 55.0), f32(g.z / 120.0))
    calm = smooth(-0.5, 7.0, g.edge) * 0.85 + 0.15
    nx = (0.055 * waves[..., 1] * (1 - far) + 0.020 * streak[..., 1] * far) * calm
    nz = (0.055 * waves[..., 2] * (1 - far) + 0.075 * streak[..., 0] * far * patch) * calm
    return f32(nx), f32(nz), f32((0.03 + 0.15 * far * patch) * calm)


def lace(noise: Noise, g: Ground, scale: float) -> Array:
    """Net-like foam pattern, 0 to 1."""
    u, v = g.along / scale, g.off / scale
    bend = noise.fbm(f32(u * 0.6), f32(v * 0.6 + 5), 2)
    u, v = u + 0.5 * bend[..., 1] * 0.2, v + 0.5 * bend[..., 2] * 0.2
    coarse = 1.0 - np.abs(noise.fbm(f32(u), f32(v), 3, f32(g.step / scale * 0.6))[..., 0]) * 1.7
    fine = 1.0 - np.abs(noise.fbm(f32(u * 2.7), f32(v * 2.7 + 9), 2, f32(g.step / scale * 1.8))[..., 0]) * 1.7
    return f32(np.clip(0.68 * coarse + 0.32 * fine, 0.0, 1.0))


def foam_cover(noise: Noise, g: Ground, d: Array, breaking: Array) -> Array:
    """How much of each sea pixel is white water."""
    net = lace(noise, g, 0.75)
    ragged = noise.fbm(f32(g.along / 1.3), f32(g.off / 0.9), 4, f32(g.step / 1.0))[..., 0]
    front = smooth(-0.20, -0.10, f32(d - 0.035 * ragged)) * (1.0 - smooth(0.00, 0.07, f32(d + 0.05 * ragged)))
    trail = smooth(-0.05, 0.02, d) * (1.0 - smooth(0.05, 0.42, d)) * breaking
    wash = 0.64 * (1.0 - smooth(0.3, 4.2, g.edge)) * (0.75 + 0.5 * noise.value(g.along / 5.0, g.off / 3.0))
    lip = 1.0 - smooth(0.05, 0.42, f32(g.edge + 0.16 * ragged))
    amount = np.clip(np.maximum(trail * 0.62, wash), 0.0, 0.95)
    laced = smooth(0.0, 0.22, f32(net - 1.0 + 0.98 * amount))
    solid = np.maximum(front * breaking * (0.8 + 0.3 * ragged), lip * 0.95)
    return f32(np.clip(np.maximum(laced * 0.85, solid), 0.0, 1.0))


def paint_sea(sky: Array, noise: Noise, g: Ground, rng: np.random.Generator) -> Array:
    """Linear colour of the sea, foam included."""
    height, d, breaking = swell(noise, g.off, g.along)
    ahead = swell(noise, f32(g.off + 0.15), g.along)[0]
    rise = (ahead - height) / 0.15
    nx, nz, rough = ripples(noise, g)
    nx, nz = f32(-nx - rise * math.cos(BEACH_ANGLE)), f32(-nz - rise * math.sin(BEACH_ANGLE))
    mirrored = reflect_sky(sky, g.view, nx, nz, f32(1.1 * rough))
    share = fresnel(g.view, nx, nz, rough)
    depth = np.clip(g.edge, 0.0, None) * 0.045 + 0.5 * height
    bed = rgb((0.40, 0.33, 0.24)) * np.exp(-depth[..., None] * rgb((2.6, 0.75, 0.75)))
    deep = rgb((0.004, 0.135, 0.165)) * (1 - smooth(20, 120, g.off))[..., None]
    deep = deep + rgb((0.008, 0.055, 0.12)) * smooth(20, 120, g.off)[..., None]
    body = bed + deep * (1.0 - np.exp(-depth * 2.2))[..., None]
    thin = np.clip(rise, 0.0, 1.0) * height * 2.6
    body = body + rgb((0.03, 0.26, 0.22)) * thin[..., None]
    sea = mix(f32(body), mirrored, share) + sparkle(g, nx, nz, rough, rng)
    foam = foam_cover(noise, g, d, breaking)
    bubbles = noise.fbm(g.along, f32(g.off / 0.6), 3, g.step)[..., 0]
    shade = 0.74 + 0.26 * smooth(-0.15, 0.02, d) + 0.10 * bubbles
    return mix(sea, f32(rgb((0.92, 0.88, 0.82)) * shade[..., None]), foam)


def sparkle(g: Ground, nx: Array, nz: Array, rough: Array, rng: np.random.Generator) -> Array:
    """Glitter of the sun: steady sheen on the slopes that face it, and single bright facets."""
    x, y, z = g.view
    hx, hy, hz = SUN[0] - x, SUN[1] - y, SUN[2] - z
    ax, az = hx / hy - nx, hz / hy - nz
    spread = 0.055 + 0.55 * rough
    sheen = np.exp(-(ax * ax * 1.5 + az * az) / (2 * spread * spread))
    facets = blur(f32(rng.random(nx.shape) ** 60), 1.1, 0.7) * 14.0
    wide = np.exp(-(ax * ax * 1.2 + az * az) / (2 * (spread + 0.10) ** 2))
    return f32((0.30 * sheen + 1.15 * facets * wide)[..., None] * rgb(SUN_RGB) * 1.2)


def sand_slopes(noise: Noise, g: Ground) -> tuple[Array, Array, Array]:
    """Slopes of the dry sand (x, z) and its height noise: soft mounds, footprints, small lumps."""
    broad = noise.fbm(f32(g.x / 3.4), f32(g.z / 2.6), 2, f32(g.step / 3.0))
    lumps = noise.fbm(f32(g.x / 0.62), f32(g.z / 0.70), 5, f32(g.step / 0.5), gain=0.52)
    trodden = smooth(-0.9, 0.9, noise.value(f32(g.x / 4.1), f32(g.z / 5.0)))
    hollow = lumps * (0.34 + 0.28 * trodden)[..., None]
    nx = 0.09 * broad[..., 1] / 3.0 + 0.070 * hollow[..., 1]
    nz = 0.09 * broad[..., 2] / 3.0 + 0.070 * hollow[..., 2]
    return f32(nx), f32(nz), f32(broad[..., 0] + 0.35 * lumps[..., 0])


def paint_dry(noise: Noise, g: Ground, rng: np.random.Generator) -> Array:
    """Linear colour of dry sand under the low sun."""
    sx, sz, height = sand_slopes(noise, g)
    length = np.sqrt(sx * sx + sz * sz + 1.0)
    direct = np.clip((SUN[1] - sx * SUN[0] - sz * SUN[2]) / length, 0.0, None)
    tone = noise.fbm(f32(g.x / 1.7), f32(g.z / 1.3 + 4), 4, f32(g.step / 1.5))[..., 0]
    speck = blur(f32(rng.standard_normal(g.x.shape)), 0.8) * np.clip(6.0 / g.z, 0.2, 1.2)
    albedo = rgb((0.66, 0.50, 0.350)) * (1.0 + 0.06 * tone + 0.10 * speck)[..., None]
    skylight = (0.44 + 0.06 * height)[..., None] * rgb((0.80, 0.92, 1.10))
    light = 2.05 * direct[..., None] * rgb(SUN_RGB) + skylight
    return f32(albedo * light)


def paint_wet(sky: Array, noise: Noise, g: Ground, dry: Array) -> Array:
    """Damp sand, and the mirror-like film just above the waterline."""
    inland = -g.edge
    ragged = noise.fbm(f32(g.along / 3.0), f32(g.off / 1.1), 4, f32(g.step / 2.0))[..., 0]
    damp = 1.0 - smooth(2.0, 4.0, f32(inland + 0.55 * ragged))
    film = 1.0 - smooth(0.4, 3.3, f32(inland + 0.7 * ragged))
    tiny = noise.fbm(f32(g.x / 0.7), f32(g.z / 0.5), 3, f32(g.step / 0.6))
    nx, nz = f32(0.006 * tiny[..., 1]), f32(0.006 * tiny[..., 2])
    mirrored = reflect_sky(sky, g.view, nx, nz, f32(g.x * 0))
    share = np.clip(1.5 * fresnel(g.view, nx, nz, f32(g.x * 0)) + 0.10, 0.0, 0.85) * film
    flat = f32(rgb((0.30, 0.225, 0.155)) * (1.0 + 0.07 * ragged)[..., None])
    dark = mix(dry, f32(flat * 0.72 + dry * 0.14), damp)
    return mix(dark, mirrored, f32(share))


def paint_ground(sky: Array, noise: Noise, rng: np.random.Generator) -> Array:
    """Everything below the horizon, in linear light."""
    g = trace_ground(noise)
    soft = blur(sky, 5.0, 9.0)
    dry = paint_dry(noise, g, rng)
    sand = paint_wet(soft, noise, g, dry)
    shadow = 1.0 - 0.35 * np.exp(-np.clip(-g.edge, 0.0, None) / 0.12)
    sea = paint_sea(soft, noise, g, rng)
    picture = mix(f32(sand * shadow[..., None]), sea, smooth(-0.03, 0.05, g.edge))
    veil = (1.0 - np.exp(-g.z / 900.0)) * 0.75
    return mix(picture, f32(np.broadcast_to(rgb((0.62, 0.64, 0.64)), picture.shape)), f32(veil))


# ---------------------------------------------------------------- palm


def curve(points: list[Point], count: int) -> Array:
    """Points on a quadratic or cubic Bezier curve."""
    t = np.linspace(0.0, 1.0, count)[:, None]
    n = len(points) - 1
    total = np.zeros((count, 2))
    for k, point in enumerate(points):
        total += math.comb(n, k) * (1 - t) ** (n - k) * t**k * np.asarray(point)
    return f32(total)


def fixed_point(points: Array) -> npt.NDArray[np.int32]:
    """Points as OpenCV draws them, in sixteenths of a pixel."""
    return np.round(points * 16).astype(np.int32).reshape(-1, 1, 2)


def stroke(canvas: Array, points: Array, colour: Vec, width: int) -> None:
    """Draw an antialiased line of opaque colour (RGBA canvas)."""
    cv2.polylines(canvas, [fixed_point(points)], False, (*colour, 1.0), width, cv2.LINE_8, 4)


def leaf(canvas: Array, points: Array, colour: Vec, width: float) -> None:
    """Fill a thin leaf that tapers to its tip."""
    way = np.gradient(points, axis=0)
    side = np.stack([-way[:, 1], way[:, 0]], axis=1) / (np.linalg.norm(way, axis=1)[:, None] + 1e-6)
    t = np.linspace(0.0, 1.0, len(points))[:, None]
    half = width * (0.45 + 1.6 * t) * (1.0 - t)
    ring = f32(np.concatenate([points + side * half, (points - side * half)[::-1]]))
    cv2.fillPoly(canvas, [fixed_point(ring)], (*colour, 1.0), cv2.LINE_8, 4)


def frond(canvas: Array, rng: np.random.Generator, root: Point, angle: float, size: float) -> None:
    """Draw one palm frond: a drooping rib with leaflets on both sides."""
    dx, dy = math.cos(angle), -math.sin(angle)
    sag = size * (0.18 + 0.17 * abs(dx) + 0.12 * rng.random())
    tip = (root[0] + dx * size * 0.95, root[1] + dy * size * 0.75 + sag)
    knee = (root[0] + dx * size * 0.55, root[1] + dy * size * 0.70 - 0.16 * size)
    rib = curve([root, knee, tip], 64)
    way = np.gradient(rib, axis=0)
    for k in range(5, 63):
        t = k / 63
        length = size * 0.30 * math.sin(math.pi * min(1.0, 0.14 + 0.80 * t)) ** 0.8 * rng.uniform(0.85, 1.1)
        heading = math.atan2(float(way[k, 1]), float(way[k, 0]))
        for side in (-1.0, 1.0):
            turn = heading + side * (1.05 - 0.55 * t) + rng.normal(0, 0.07)
            lx, ly = math.cos(turn) * length, math.sin(turn) * length
            x0, y0 = float(rib[k, 0]), float(rib[k, 1])
            middle, end = (x0 + 0.55 * lx, y0 + 0.5 * ly), (x0 + 0.8 * lx, y0 + 0.85 * ly + 0.3 * length)
            path = curve([(x0, y0), middle, end], 9)
            glow = rng.uniform(0.6, 1.25) * (0.7 + 0.5 * t)
            sunny = 1.0 + 0.9 * max(0.0, dx) * (side < 0)
            leaf(canvas, path, (0.046 * glow * sunny, 0.060 * glow * sunny, 0.018 * glow), size * 0.0085)
    stroke(canvas, rib, (0.10, 0.10, 0.04), max(2, round(size * 0.008)))


def trunk(canvas: Array, rng: np.random.Generator, path: Array, wide: float, narrow: float) -> None:
    """Draw a ringed trunk along a path, lit from the right."""
    count = len(path)
    way = np.gradient(path, axis=0)
    for k in range(count - 1):
        t = k / count
        half = wide + (narrow - wide) * t**0.6
        across = np.array([-way[k, 1], way[k, 0]]) / np.linalg.norm(way[k])
        ring = 0.82 + 0.18 * math.sin(k * 0.55) + rng.normal(0, 0.04)
        for j in range(8):
            a, b = (j / 4 - 1) * half, ((j + 1) / 4 - 1) * half
            lit = (0.10 + 0.34 * ((j + 0.5) / 8) ** 2.2) * ring
            low, high = path[k], path[k + 1]
            quad = f32([low + across * a, low + across * b, high + across * b, high + across * a])
            bark = (lit * 1.05, lit * 0.80, lit * 0.58, 1.0)
            cv2.fillConvexPoly(canvas, fixed_point(quad), bark, cv2.LINE_8, 4)


def paint_palm(rng: np.random.Generator) -> Array:
    """RGBA layer with a palm leaning in from the left (premultiplied, linear)."""
    factor = 2
    canvas = np.zeros((H * factor, W * factor, 4), np.float32)
    crown = (236.0 * factor, 214.0 * factor)
    bends = [(-70.0, 900.0), (60.0, 640.0), (190.0, 420.0)]
    base = [(x * factor, y * factor) for x, y in bends] + [crown]
    angles = [174, 4, 140, 36, 204, -26, 112, 66, 158, 20, 88, 228, -48, 126, 50, 188, -10]
    for degrees in angles[:8]:
        frond(canvas, rng, crown, math.radians(degrees), rng.uniform(235, 300) * factor)
    trunk(canvas, rng, curve(base, 240), 24.0 * factor, 10.0 * factor)
    for x, y, wide in ((0, -14, 17), (0, 2, 18), (-13, 14, 10), (12, 15, 11), (-1, 21, 10)):
        centre = (round(crown[0] + x * factor), round(crown[1] + y * factor))
        cv2.circle(canvas, centre, wide * factor, (0.055, 0.050, 0.020, 1.0), -1, cv2.LINE_8)
    for degrees in angles[8:]:
        frond(canvas, rng, crown, math.radians(degrees), rng.uniform(205, 280) * factor)
    return f32(cv2.resize(canvas, (W, H), interpolation=cv2.INTER_AREA))


# ---------------------------------------------------------------- camera


def develop(linear: Array) -> Array:
    """Filmic tone curve and display gamma, 0 to 1."""
    grey = linear.mean(axis=2, keepdims=True)
    x = np.maximum(grey + (linear - grey) * 1.10, 0.0) * 0.80
    toned = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0.0, 1.0)
    power = 1.055 * np.maximum(toned, 1e-6) ** (1 / 2.4) - 0.055
    return f32(np.where(toned < 0.0031308, toned * 12.92, power))


def lens(linear: Array) -> Array:
    """Shallow focus, veiling glow and a light vignette."""
    soft = blur(linear, 1.9)
    bright = blur(f32(np.clip(linear - 0.9, 0.0, 3.0)), 28.0)
    soft = soft * 0.97 + 0.35 * bright + 0.03 * blur(soft, 120.0)
    yy, xx = np.mgrid[-1 : 1 : H * 1j, -1 : 1 : W * 1j]
    return f32(soft * (1.0 - 0.10 * (xx * xx + yy * yy))[..., None])


def render() -> npt.NDArray[np.uint8]:
    """Return the finished picture, 8-bit BGR."""
    rng = np.random.default_rng(SEED)
    noise = Noise(rng)
    sky = paint_sky(rng, noise)
    headland(sky, noise)
    ground = paint_ground(sky, noise, rng)
    picture = np.concatenate([sky[-SKY_TOP:], sky[-1:], ground])[:H]
    seam = blur(f32(picture[425:441]), 0.01, 1.2)
    picture[427:439] = seam[2:14]
    palm = blur(paint_palm(rng), 1.2)
    shown = develop(lens(f32(picture * (1.0 - palm[..., 3:]) + palm[..., :3])))
    grain = blur(f32(rng.standard_normal((H, W, 1))), 0.6)
    noisy = shown + (grain * 0.011).reshape(H, W, 1) + rng.normal(0.0, 0.003, (H, W, 3))
    out: npt.NDArray[np.uint8] = np.clip(np.round(noisy[..., ::-1] * 255), 0, 255).astype(np.uint8)
    return out


def main() -> None:
    """Write the picture to the path given."""
    parser = argparse.ArgumentParser(description="Paint the demo's beach background.")
    parser.add_argument("out", type=Path, help="JPEG to write")
    out: Path = parser.parse_args().out
    done, data = cv2.imencode(".jpg", render(), [cv2.IMWRITE_JPEG_QUALITY, 88, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    if not done:
        raise SystemExit("the JPEG could not be encoded")
    out.write_bytes(data.tobytes())


if __name__ == "__main__":
    main()
