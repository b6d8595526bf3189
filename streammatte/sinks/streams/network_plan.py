"""From an address and a stream to what exactly is sent there: how it is reached, coded and named without secrets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from urllib.parse import parse_qsl, urlsplit

from streammatte.color import ChromaLocation, ColorSpec
from streammatte.errors import ConfigError
from streammatte.frame import PixelFormat, StreamInfo
from streammatte.sinks.codecs import ENCODERS
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.planning import Plan
from streammatte.sinks.streams.listening import check_listening
from streammatte.srt import SrtAddress

__all__ = ["USUAL_RATE", "Target", "plan_stream"]

USUAL_RATE = Fraction(30)
_HIDDEN = "…"
_RTMP_PORTS = {"rtmp": 1935, "rtmps": 443}
_CODECS = ("h264", "hevc")
_CRF = {"h264": 21, "hevc": 23}
_MATRICES = {1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020", 10: "BT.2020"}
_BITS_A_PIXEL = 0.11
_SLOWEST, _FASTEST = 1_000_000, 8_000_000
"""Bits a second; 8 Mbit/s is as much as Twitch takes."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send to."""

    scheme: str
    host: str
    port: int
    shown: str
    """The address without secrets: neither stream key, passphrase nor stream id."""
    srt: SrtAddress | None = None
    url: str = ""
    """RTMP: the whole address, with the key."""
    ttl: int | None = None
    """Of multicast; None: the system's, one hop."""

    @classmethod
    def parse(cls, place: str, options: SinkOptions) -> Target:
        """Raises ConfigError where `place` is no address, or one to listen at that `--listen` does not allow."""
        scheme = place.partition(":")[0]
        reader = {"srt": _srt, "udp": _udp}.get(scheme, _rtmp)
        try:
            return reader(place, options)
        except ValueError as error:
            raise ConfigError("--to", f"{scheme}: {error}") from error

    @property
    def muxer(self) -> str:
        """FFmpeg's name of the container."""
        return "flv" if self.scheme in _RTMP_PORTS else "mpegts"


def _srt(place: str, options: SinkOptions) -> Target:
    address = SrtAddress.parse(place)
    shown = f"srt://{urlsplit(place).netloc.rpartition('@')[2]}"
    query = "&".join(
        f"{key}={_HIDDEN if key in ('passphrase', 'streamid') else value}"
        for key, value in parse_qsl(urlsplit(place).query)
    )
    if address.listens:
        check_listening(shown, address.host, options.listen)
    return Target("srt", address.host, address.port, f"{shown}?{query}" if query else shown, address)


def _udp(place: str, options: SinkOptions) -> Target:
    parts = urlsplit(place)
    said = dict(parse_qsl(parts.query))
    if not parts.hostname or not parts.port or set(said) - {"ttl", "pkt_size"}:
        raise ValueError("give udp://HOST:PORT, for multicast with ?ttl=HOPS")
    if said.get("pkt_size", "1316") != "1316" or not said.get("ttl", "1").isdecimal():
        raise ValueError("pkt_size is 1316 here, and ttl a number of hops")
    ttl = int(said["ttl"]) if "ttl" in said else None
    return Target("udp", parts.hostname, parts.port, f"udp://{parts.netloc}", ttl=ttl)


def _rtmp(place: str, options: SinkOptions) -> Target:
    """The last part of the path is the key, with whatever follows it."""
    parts = urlsplit(place)
    app, _, key = parts.path.strip("/").rpartition("/")
    if not parts.hostname or not app or not key or "@" in parts.netloc:
        raise ValueError(f"give {parts.scheme}://HOST/APP/KEY, without a user name")
    port = parts.port or _RTMP_PORTS[parts.scheme]
    shown = f"{parts.scheme}://{parts.netloc}/{app}/{_HIDDEN}"
    return Target(parts.scheme, parts.hostname, port, shown, url=place)


def plan_stream(target: Target, info: StreamInfo, options: SinkOptions) -> Plan:
    """H.264 or HEVC of 8-bit 4:2:0 in limited range, upright. Raises ConfigError for what cannot be sent so."""
    codec = options.codec or "h264"
    if codec not in _CODECS:
        raise ConfigError("--codec", f"{target.shown} takes {' or '.join(_CODECS)}, not {codec!r}")
    if options.pix_fmt not in (None, "yuv420p"):
        raise ConfigError("--pix-fmt", f"{target.shown} takes yuv420p, which every player decodes")
    encoder = ENCODERS[codec]
    crf = _CRF[codec] if options.crf is None else options.crf
    low, high = encoder.quality_range
    if not low <= crf <= high:
        raise ConfigError("--crf", f"{crf} is out of range; {codec} takes {low} to {high}")
    width, height = (info.width, info.height) if info.rotation % 180 == 0 else (info.height, info.width)
    width, height = width + width % 2, height + height % 2
    rate = _bits_a_second(width, height, info.rate or USUAL_RATE)
    settings = (
        *encoder.options,
        ("preset", options.preset or encoder.preset),
        ("tune", "zerolatency"),  # no B frames, no lookahead: each frame comes out as it goes in
        ("crf", str(crf)),
        ("maxrate", str(rate)),
        ("bufsize", str(rate)),
        ("forced-idr", "1"),
        *((("x265-params", "log-level=none"),) if codec == "hevc" else ()),  # x265 prints by itself
    )
    color = _color(info)
    return Plan(
        target.muxer,
        codec,
        encoder,
        PixelFormat.named("yuv420p"),
        False,
        color,
        width,
        height,
        settings,
        _notes(info, color, (width, height), f"{codec} crf {crf}, at most {rate / 1e6:.1f} Mbit/s"),
    )


def _bits_a_second(width: int, height: int, rate: Fraction) -> int:
    """The ceiling of a stream's rate: 3 Mbit/s for 720p and 6.8 for 1080p, at 30 frames a second.

    Constant quality under a ceiling, and not a constant rate: a person before a still picture needs a fraction of it,
    and no service asks for the rest to be filled with nothing. A buffer of one second keeps key frames from
    falling behind. Twice the frames are more alike, and are given half as much again.
    """
    wanted = _BITS_A_PIXEL * width * height * 30 * (float(rate) / 30) ** 0.585
    return int(min(max(wanted, _SLOWEST), _FASTEST))


def _color(info: StreamInfo) -> ColorSpec:
    """The matrix of the planes that are kept, with every tag filled in: players guess by size, each its own way."""
    spec = info.color.resolved(info.format.model, info.height)
    if info.format.model != "yuv":
        spec = replace(spec, matrix=9 if spec.primaries == 9 else 1)
    location = ChromaLocation.UNSPECIFIED if info.rotation else spec.chroma_location
    return replace(spec, full_range=False, chroma_location=location)


def _notes(info: StreamInfo, color: ColorSpec, size: tuple[int, int], coded: str) -> tuple[str, ...]:
    notes = [f"sent as {coded}, without sound"]
    if info.format.name != "yuv420p" or info.color.full_range:
        coded_as = f"{'full' if info.color.full_range else 'limited'}-range {info.format.name}"
        source = info.format.name if info.format.model == "gbr" else coded_as
        notes.append(f"converted to limited-range {_MATRICES[color.matrix]} yuv420p from {source}")
    if info.rotation:
        notes.append("pictures are turned upright: a stream holds no rotation")
    upright = (info.width, info.height) if info.rotation % 180 == 0 else (info.height, info.width)
    if size != upright:
        notes.append(f"{upright[0]}x{upright[1]} padded to {size[0]}x{size[1]} by repeating the edge")
    if info.color.hdr:
        notes.append("HDR is sent in 8 bits, tagged as it is")
    return tuple(notes)
