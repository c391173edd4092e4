INSERT INTO hits (n) VALUES (1);
SELECT pg_sleep(1);
