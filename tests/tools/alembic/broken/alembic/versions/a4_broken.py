# SPDX-License-Identifier: Apache-2.0

from alembic import op

revision = "a4"
down_revision = "a3"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("INSERT INTO no_such_table (id) VALUES (1)")


def downgrade():
    pass
