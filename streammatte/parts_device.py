"""From settings to the parts of a run whose frames stay on the network's device, from decoder to encoder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from streammatte import registry
from streammatte.composing_device import DeviceStages
from streammatte.config import Settings
from streammatte.inference import Pace
from streammatte.inspector import Inspector
from streammatte.matter import Matter
from streammatte.parts import stabilizer_of
from streammatte.ports import (
    Background,
    Compositor,
    DeviceSession,
    Foreground,
    Refiner,
    Sink,
    SinkKind,
    Source,
    Stabilizer,
)
from streammatte.quality import TRIMAP_REFINERS, Quality

__all__ = ["DeviceRun", "host_only"]


def host_only(settings: Settings, matter: Matter) -> str | None:
    """Why frames come to the host for all but the network; None where they can stay on its device."""
    session = matter.session
    if not isinstance(session, DeviceSession) or session.device == "cpu":
        return f"{matter.info.runtime} computes on the host"
    if settings.compat:
        return f"--compat {settings.compat} is arithmetic of the host"
    if settings.subject != "all":
        return "--subject is arithmetic of the host"
    if settings.refine in TRIMAP_REFINERS:
        return f"--refine {settings.refine} is arithmetic of the host"
    if settings.student != "off":
        return f"--student {settings.student} is for the host"
    return None


@dataclass(frozen=True, slots=True)
class DeviceRun:
    """The parts of one run, on the device of `matter`'s session. What it needs is imported when it is made."""

    lane: Any
    downloads: Any
    matter: Matter

    @staticmethod
    def on(matter: Matter) -> DeviceRun:
        """For a session that is a `DeviceSession`."""
        from streammatte.device.download import Downloads
        from streammatte.kernels.torch.lane import Lane

        assert isinstance(matter.session, DeviceSession)
        lane = Lane(matter.session.device)
        return DeviceRun(lane, Downloads(lane), matter)

    def decoder(self) -> Any:
        """NVDEC."""
        from streammatte.sources.nvdec import Nvdec

        return Nvdec(self.lane)

    def encoder(self) -> Any:
        """NVENC."""
        from streammatte.sinks.nvenc import Nvenc

        return Nvenc(self.lane)

    def source(self, source: Source) -> Source:
        """`source`, its frames on the device."""
        from streammatte.device.upload import OnDevice

        return OnDevice(source, self.lane)

    def sink(self, sink: Sink) -> Sink:
        """`sink`, given frames on the device."""
        from streammatte.device.download import FromDevice

        return FromDevice(sink, self.downloads)

    def inspector(self, inspector: Inspector) -> Any:
        """`inspector`, given mattes on the device."""
        from streammatte.device.inspecting import LateInspector

        return LateInspector(inspector, self.downloads, pictures=inspector.with_pictures)

    def background(self, background: Background | None) -> Background | None:
        """`background`, its planes on the device."""
        from streammatte.backgrounds.blur import BlurBackground
        from streammatte.backgrounds.on_device import DeviceBlurBackground, UploadedBackground

        if background is None:
            return None
        if isinstance(background, BlurBackground):
            return DeviceBlurBackground(background.strength, self.lane)
        return UploadedBackground(background, self.lane)

    def stages(
        self,
        settings: Settings,
        quality: Quality,
        background: Background | None,
        fetched: frozenset[SinkKind],
    ) -> DeviceStages:
        """All stages, with nothing running; `background` is on the device. Every frame is shown to the network."""
        from streammatte.arithmetics.on_device import DeviceFixedGainArithmetic
        from streammatte.device.composer import DeviceComposer
        from streammatte.device.lookahead import looking_ahead
        from streammatte.device.matter import DeviceMatter
        from streammatte.device.tracker import DeviceTracker

        session: Any = self.matter.session
        arithmetic = DeviceFixedGainArithmetic(self.matter.model, self.lane)
        seen = DeviceMatter(session, arithmetic, self.lane, tta=quality.tta, batch=self.matter.batch)
        refiner, foreground = self._refiner(settings, quality), self._foreground(settings)
        compositor = self._compositor(settings)
        return DeviceStages(
            matter=seen,
            stabilizer=self._stabilizer(quality),
            refiner=refiner,
            foreground=foreground,
            background=background,
            # One thread: what it does is to put work on the device, in order.
            pace=Pace(lookahead=quality.lookahead, batch=seen.batch),
            compositor=compositor,
            tracker=DeviceTracker(self.lane, onward=quality.lookahead > 0),
            ahead=partial(looking_ahead, lane=self.lane),
            composer=DeviceComposer(self.lane, refiner, foreground, background, compositor),
            fetcher=self.downloads,
            fetched=fetched,
        )

    def _stabilizer(self, quality: Quality) -> Stabilizer:
        from streammatte.stabilizers.on_device import DeviceEmaStabilizer, DeviceMotionStabilizer

        if quality.stabilize == "none":
            return stabilizer_of(quality)  # it touches no sample
        kind = DeviceMotionStabilizer if quality.stabilize == "motion" else DeviceEmaStabilizer
        return kind(quality.half_life_s, self.lane)

    def _refiner(self, settings: Settings, quality: Quality) -> Refiner:
        from streammatte.refiners.on_device import (
            DeviceClosedFormRefiner,
            DeviceGuidedRefiner,
            DeviceResampleRefiner,
        )

        refiner: Refiner
        if quality.refine == "closed-form":
            refiner = DeviceClosedFormRefiner(self.lane, quality.refine_steps)
        else:
            refiner = (DeviceGuidedRefiner if quality.refine == "guided" else DeviceResampleRefiner)(self.lane)
        if not (settings.feather_px or settings.shift_px):
            return refiner
        from streammatte.refiners.edges_on_device import DeviceEdgeRefiner

        return DeviceEdgeRefiner(refiner, self.lane, feather_px=settings.feather_px, shift_px=settings.shift_px)

    def _foreground(self, settings: Settings) -> Foreground:
        from streammatte.foregrounds.on_device import DeviceBlurFusionForeground, DeviceDespillForeground

        foreground: Foreground = DeviceBlurFusionForeground(self.lane)
        if settings.fgr == "off":
            foreground = registry.load(registry.FOREGROUNDS, "off", "--fgr")()  # it touches no sample
        if not settings.despill:
            return foreground
        return DeviceDespillForeground(foreground, settings.despill, self.lane)

    def _compositor(self, settings: Settings) -> Compositor:
        from streammatte.compositors.on_device import DeviceLightWrap, DeviceLinear, device_composite

        compositor: Compositor = DeviceLinear(self.lane) if settings.linear else device_composite(self.lane)
        if not settings.light_wrap:
            return compositor
        return DeviceLightWrap(settings.light_wrap, compositor, self.lane)
