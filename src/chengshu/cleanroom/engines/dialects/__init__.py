"""What engines write differently, one engine a file; what all of them write alike is in :mod:`chengshu.cleanroom.engines.rendering`."""
