"""Configures Piccolo's own commands in this folder: `piccolo migrations forwards chatkeep`."""

from chatkeep.piccolo_conf import APP_REGISTRY, DB

__all__ = ["APP_REGISTRY", "DB"]
