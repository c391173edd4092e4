/* SPDX-License-Identifier: Apache-2.0 */
/* Names of variables. */

#include "core/env_database.h"

#include <stddef.h>

#include "core/banned.h"

const char *const env_database_urls[ENV_DATABASE_URLS] = {
    "DIRECT_URL",
    "DATABASE_URL_UNPOOLED",
    "POSTGRES_URL_NON_POOLING",
    "DATABASE_URL",
    "POSTGRES_URL",
    "MYSQL_URL",
    "SQLALCHEMY_DATABASE_URI",
    "JDBC_DATABASE_URL",
};

const EnvDatabase env_databases[ENV_DATABASE_SETS] = {
    {"postgres",
     {"PGHOST", "PGDATABASE", "PGSERVICE"},
     {{"PGHOST"}, {"PGPORT"}, {"PGDATABASE"}, {"PGUSER"}, {"PGPASSWORD"}, {"PGSERVICE"}}},
    {"postgres",
     {"POSTGRES_HOST"},
     {{"POSTGRES_HOST"},
      {"POSTGRES_PORT"},
      {"POSTGRES_DB", "POSTGRES_DATABASE"},
      {"POSTGRES_USER"},
      {"POSTGRES_PASSWORD"},
      {NULL}},
     true},
    {NULL,
     {"DB_HOST", "DB_NAME", "DB_DATABASE"},
     {{"DB_HOST"},
      {"DB_PORT"},
      {"DB_NAME", "DB_DATABASE"},
      {"DB_USER", "DB_USERNAME"},
      {"DB_PASSWORD", "DB_PASS"},
      {"DB_ENGINE", "DB_CONNECTION", "DB_DIALECT"}}},
    {"mysql",
     {"MYSQL_HOST", "MYSQL_DATABASE"},
     {{"MYSQL_HOST"},
      {"MYSQL_PORT", "MYSQL_TCP_PORT"},
      {"MYSQL_DATABASE"},
      {"MYSQL_USER"},
      {"MYSQL_PASSWORD"},
      {NULL}}},
};
