# SPDX-License-Identifier: Apache-2.0
from yoyo import step

__depends__ = {"0002_posts"}

steps = [
    step("ALTER TABLE users ADD COLUMN email varchar(200)"),
]
