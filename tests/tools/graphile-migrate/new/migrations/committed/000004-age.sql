--! Previous: sha1:c9354fbe6c87795f5fdcbf6224c576dea6465aca
--! Hash: sha1:32d01f50bcf0c68665f1012e0cef70386df78324
--! Message: age

ALTER TABLE users ADD COLUMN age integer;
