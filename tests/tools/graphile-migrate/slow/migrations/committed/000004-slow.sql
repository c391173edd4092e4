--! Previous: sha1:c9354fbe6c87795f5fdcbf6224c576dea6465aca
--! Hash: sha1:63b52b2b581fc588d45e2928a930c680dbfbea7e
--! Message: slow

INSERT INTO hits (n) VALUES (1);
SELECT pg_sleep(1);
