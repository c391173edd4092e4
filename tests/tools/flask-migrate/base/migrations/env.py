# SPDX-License-Identifier: Apache-2.0

import logging.config

from alembic import context
from flask import current_app

logging.config.fileConfig(context.config.config_file_name)
extension = current_app.extensions["migrate"]

if context.is_offline_mode():
    context.configure(url=str(extension.db.engine.url), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with extension.db.engine.connect() as connection:
        context.configure(connection=connection, **extension.configure_args)
        with context.begin_transaction():
            context.run_migrations()
