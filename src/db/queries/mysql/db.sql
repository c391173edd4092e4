/tmp/ops-gen/db/queries.def /tmp/ops-gen/db/queries.c: 
