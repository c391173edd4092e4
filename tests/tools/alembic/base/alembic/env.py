# SPDX-License-Identifier: Apache-2.0

import logging.config
import os

import sqlalchemy
from alembic import context

logging.config.fileConfig(context.config.config_file_name)
url = os.environ["DATABASE_URL"]
for short, full in (("postgres://", "postgresql://"), ("mysql://", "mysql+pymysql://")):
    if url.startswith(short):
        url = full + url[len(short) :]

if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with sqlalchemy.create_engine(url).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
