--! Previous: sha1:c9354fbe6c87795f5fdcbf6224c576dea6465aca
--! Hash: sha1:77710260ee525ac43a198dc81338c1f0cc49eb82
--! Message: broken

INSERT INTO no_such_table (id) VALUES (1);
