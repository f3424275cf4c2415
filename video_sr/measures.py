"""What clips are scored by and which clips: names that scores, claims, tables, figures and the search share.

The paper's text on metrics could not be read, so a name carries every convention (`common.metrics.image_quality`).
"""

from __future__ import annotations

from common.measures import Measure, Part

PSNR = Measure(
    name="psnr[rgb,crop0,u8]",
    unit="dB",
    heading="PSNR",
    words="dB, higher is better; squared errors of R, G and B pooled",
)
SSIM = Measure(
    name="ssim[rgb,crop0,u8,gauss11]",
    unit="SSIM",
    heading="SSIM",
    words="at most 1, higher is better; 11x11 Gaussian window of sigma 1.5, mean of R, G and B",
)
PSNR_Y = Measure(
    name="psnr[y,crop0,u8]", unit="dB", heading="PSNR-Y", words="dB, higher is better; BT.601 studio luma"
)
SSIM_Y = Measure(
    name="ssim[y,crop0,u8,gauss11]",
    unit="SSIM",
    heading="SSIM-Y",
    words="at most 1, higher is better; BT.601 studio luma",
)
# Of both pictures reduced to 1/4: what x4 could keep; ours.
STRUCTURE = Measure(
    name="ssim[rgb,crop0,u8,gauss11,quarter]",
    unit="SSIM",
    heading="SSIM/4",
    words="SSIM of both pictures reduced to 1/4, higher is better",
)
STRUCTURE_X4 = Measure(
    name=f"x4/{STRUCTURE.name}",
    unit="SSIM",
    heading="SSIM/4 at x4",
    words="the same of a picture reduced to 1/4 alone and enlarged x4 by bicubic: the control",
)
CONSISTENCY = Measure(
    name="lr-psnr[rgb,crop0,u8]",
    unit="dB",
    heading="LR-PSNR",
    words="dB, higher is better; between the input and the output degraded again",
)
TEMPORAL = Measure(
    name="tdiff[rgb,u8]",
    unit="8-bit levels",
    heading="tdiff",
    words="8-bit levels, lower is better; change between neighbouring frames against the truth's",
)
LPIPS = Measure(
    name="lpips[alex,v0.1]",
    unit="LPIPS",
    heading="LPIPS",
    words="lower is better; AlexNet, version 0.1",
)
# Of the luma that PSNR-Y reads, by a pinned FFmpeg; XPSNR is told a rate of 25 Hz, whatever the clip's.
XPSNR = Measure(
    name="xpsnr[y,crop0,u8,25hz,ffmpeg9]",
    unit="dB",
    heading="XPSNR",
    words="dB, higher is better; errors weighted by how well they would be seen",
)
VIF = Measure(
    name="vif[y,crop0,u8,scale3,ffmpeg9]",
    unit="VIF",
    heading="VIF",
    words="0 to about 1, higher is better; information kept at the coarsest of four scales",
)
VMAF = Measure(
    name="vmaf[v0.6.1,y,u8,ffmpeg9]",
    unit="VMAF",
    heading="VMAF",
    words="0 to 100; off its scale from x8 on, where most is cut to 0: it decides nothing",
)
WARPED = Measure(
    name="warped[rgb,u8,ilk7/4]",
    unit="8-bit levels",
    heading="warped",
    words="8-bit levels, lower is steadier, as blur is too; change along the truth's flow, where it can be followed",
)
WARPED_TRUTH = Measure(
    name="warped-truth[rgb,u8,ilk7/4]", unit="8-bit levels", heading="of HR", words="the truth's own warped"
)
FEATURES = Measure(
    name="features[efficientnet-lite0,unit,mid512]",
    unit="distance",
    heading="Lite0",
    words="lower is better; distance of EfficientNet-Lite0's features of the middle 512 pixels, not LPIPS",
)


def of_copies(measure: Measure) -> Measure:
    """The same, of what a network makes of a window that holds copies of its middle frame."""
    return Measure(name=f"copies/{measure.name}", unit=measure.unit, heading=f"{measure.heading} of copies")


def of_reversed(measure: Measure) -> Measure:
    """The same, of a window whose frames come in reverse order."""
    return Measure(
        name=f"reversed/{measure.name}", unit=measure.unit, heading=f"{measure.heading} of reversed"
    )


def of_apart(measure: Measure) -> Measure:
    """The same, of a window of every third frame, which moved three times as far."""
    return Measure(
        name=f"apart/{measure.name}", unit=measure.unit, heading=f"{measure.heading} of every third"
    )


# ---- parts of a test set, and which of them stand for what

PHOTOGRAPHS = Part(name="photographs", words="made camera motion over photographs never trained on")
LOSSLESS = Part(name="lossless", words="the same over uncompressed stills")
CLIPS = Part(name="clips", words="real recordings")
ANIMATED = Part(name="animated", words="computer animation")
VID3OC = Part(name="vid3oc", words="Vid3oC")
REDS = Part(name="reds", words="REDS")
PARTS = (PHOTOGRAPHS, LOSSLESS, CLIPS, ANIMATED, VID3OC, REDS)
