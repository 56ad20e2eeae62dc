"""Registers the tables and migrations with Piccolo under the name `chatkeep`."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from chatkeep.adapters.piccolo.tables import TABLES

APP_CONFIG = AppConfig(
    app_name="chatkeep",
    migrations_folder_path=str(Path(__file__).parents[2] / "piccolo_migrations"),
    table_classes=[*TABLES],
)
