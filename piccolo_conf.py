"""What Piccolo's own commands read: `piccolo migrations forwards chatkeep`.

The database is that of DATABASE_URL_DIRECT or DATABASE_URL, else the embedded one.
"""

from piccolo.conf.apps import AppRegistry

from entrypoints.bootstrap.database import migrations_engine

DB = migrations_engine()
APP_REGISTRY = AppRegistry(apps=["adapters.piccolo.piccolo_app"])
