# SPDX-License-Identifier: Apache-2.0

import sqlalchemy as sa
from alembic import op

revision = "a2"
down_revision = "a1"
branch_labels = None
depends_on = None


def upgrade():
    posts = op.create_table(
        "posts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(100), nullable=False),
    )
    op.create_table("hits", sa.Column("n", sa.Integer, nullable=False))
    op.bulk_insert(posts, [{"title": "first"}])


def downgrade():
    pass
