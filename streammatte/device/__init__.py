"""A frame's way on a device (CUDA; "cpu" in tests): the ports' work done on torch tensors, from upload to download.

Frames and mattes here are the house's own, holding tensors: planes as `kernels.torch` says, maps with components first.
Nothing in a frame's way waits for the device. The package needs torch.
"""
