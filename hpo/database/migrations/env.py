"""How alembic runs our migrations: on the connection it is handed, inside the transaction that is already open."""

from alembic import context

from hpo.database.tables import OWN, VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], target_metadata=OWN, version_table=VERSION_TABLE)
context.run_migrations()
