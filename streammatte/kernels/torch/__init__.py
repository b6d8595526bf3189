"""Pixel kernels on a device: torch tensors in, torch tensors out, with the names and meanings of the host's kernels.

A module is named as the host module that has its functions; what is in `kernels.host` is in `planes`, `resizing`,
`rgb` and `siting` here; `flow` has none on the host, which has OpenCV's search in `motion`. `lane` and `graphs` are how
work is put on a device. The whole package needs torch (`pip install 'streammatte[torch]'`), and nothing else does.

What holds for every function:

- All tensors of a call are on one device, on which the result is too. Nothing but `planes.on_device` and
  `planes.on_host` moves samples between memories.
- Planes are (h, w), uint8 up to 8 bits, else int32 (torch has no arithmetic for uint16), of any strides. A frame on a
  device is a `Frame` whose planes and alpha are such tensors. Maps are (h, w) float32; what has components has them
  first, (c, h, w); flow alone is (h, w, 2), x first.
- Nothing waits for the device and no shape depends on a sample, so calls of the same sizes can be captured in a CUDA
  graph. Constants of a size (weights, places) are made and moved at its first call, so make one before capturing, and
  stay as long as the process, since captured graphs point at them. Numbers are part of a captured graph; where they
  change from frame to frame (`temporal.average`), 0-d tensors are taken too.
- Results are new tensors, from torch's caching allocator, unless a function says that it writes over one.
- Products of matrices are taken in float32, as torch does unless told otherwise ("highest").
"""
