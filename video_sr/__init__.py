"""x16 video super-resolution: the AIM 2020 challenge on video extreme super-resolution [Fuoli20]."""
