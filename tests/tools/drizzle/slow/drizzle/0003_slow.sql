INSERT INTO hits (n) VALUES (1);
--> statement-breakpoint
SELECT pg_sleep(1);
