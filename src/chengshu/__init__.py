"""Chengshu 乘数: a trusted data space in one package."""

__version__ = "0.1.0"
