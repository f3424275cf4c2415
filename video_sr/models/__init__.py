"""Networks of the x16 challenge: frames of low resolution in, the enlarged centre frame out."""
