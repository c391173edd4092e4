# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import time

from alembic import op

revision = "a4"
down_revision = "a3"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("INSERT INTO hits (n) VALUES (1)")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT pg_sleep(1)")
    else:
        pathlib.Path(os.environ.get("ASLEEP", os.devnull)).touch()
        time.sleep(1)


def downgrade():
    pass
