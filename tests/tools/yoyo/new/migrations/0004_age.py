# SPDX-License-Identifier: Apache-2.0
from yoyo import step

__depends__ = {"0003_email"}

steps = [
    step("ALTER TABLE users ADD COLUMN age integer"),
]
