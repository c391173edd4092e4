# SPDX-License-Identifier: Apache-2.0

from alembic import op

revision = "a4"
down_revision = "a3"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("INSERT INTO hits (n) VALUES (1)")
    op.execute("SELECT pg_sleep(1)")


def downgrade():
    pass
