--! Previous: sha1:0ede9b140d1dc0eb60773ff3edce63fa9b2bfb38
--! Hash: sha1:c9354fbe6c87795f5fdcbf6224c576dea6465aca
--! Message: email

ALTER TABLE users ADD COLUMN email varchar(200);
