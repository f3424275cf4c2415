"""The challenge's networks as settings: what must be equal for weights to fit; no torch, so that recipes load fast.

A network is a class of sizes here and a module of the same name in `models/`; a further one is one more of each.
"""

from video_sr.networks.back_projection import BackProjectionSizes
from video_sr.networks.basicvsr import BasicVSRSizes
from video_sr.networks.bicubic import BicubicSizes
from video_sr.networks.coarse_to_fine import CoarseToFineSizes
from video_sr.networks.dksan import DKSANSizes
from video_sr.networks.edvr import EDVRAttentionSizes
from video_sr.networks.evesrnet import EVESRNetSizes
from video_sr.networks.least_squares import LeastSquaresSizes
from video_sr.networks.mgbp import MGBP3DSizes, mgbpv2
from video_sr.networks.multi_distillation import MultiDistillationSizes
from video_sr.networks.network import Network
from video_sr.networks.perceptual import PerceptualSizes
from video_sr.networks.span import SPANSizes
from video_sr.networks.span_x16 import SPANx16Sizes
from video_sr.networks.wide_activation import WideActivationSizes

__all__ = [
    "BackProjectionSizes",
    "BasicVSRSizes",
    "BicubicSizes",
    "CoarseToFineSizes",
    "DKSANSizes",
    "EDVRAttentionSizes",
    "EVESRNetSizes",
    "LeastSquaresSizes",
    "MGBP3DSizes",
    "MultiDistillationSizes",
    "Network",
    "PerceptualSizes",
    "SPANSizes",
    "SPANx16Sizes",
    "WideActivationSizes",
    "mgbpv2",
]
