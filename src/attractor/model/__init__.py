"""The Denoiser waist and the diffusion transformer."""
