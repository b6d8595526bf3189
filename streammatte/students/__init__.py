"""Small networks taught by a large one what it says of one room: online model distillation.

Mullapudi et al., "Online Model Distillation for Efficient Video Inference" (ICCV 2019). Teaching is done by a program
of its own (`child`), at a low priority: what happens to it happens to no stream. Only it knows torch.
"""
