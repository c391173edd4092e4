# SPDX-License-Identifier: Apache-2.0

import sqlalchemy as sa
from alembic import op

revision = "a3"
down_revision = "a2"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("users", sa.Column("email", sa.String(200)))


def downgrade():
    pass
