"""Runs migrations on the database that :func:`chengshu.migrations.upgrade` was given, in one transaction."""

from alembic import context

from chengshu.kernel.database import Database, metadata

database: Database = context.config.attributes["database"]
with database.write() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=False)
    context.run_migrations()
