# SPDX-License-Identifier: Apache-2.0
from yoyo import step

__depends__ = {}

steps = [
    step("CREATE TABLE users (id integer PRIMARY KEY, name varchar(100) NOT NULL)"),
]
