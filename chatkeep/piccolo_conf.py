"""What Piccolo reads: the database that it migrates, and our app.

The database is that of DATABASE_URL_DIRECT or DATABASE_URL, else the embedded one.
"""

from piccolo.conf.apps import AppRegistry

from chatkeep.entrypoints.bootstrap.database import migrations_engine

DB = migrations_engine()
APP_REGISTRY = AppRegistry(apps=["chatkeep.adapters.piccolo.piccolo_app"])
