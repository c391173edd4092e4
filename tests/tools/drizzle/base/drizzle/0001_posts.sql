CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL);
--> statement-breakpoint
CREATE TABLE hits (n integer NOT NULL);
--> statement-breakpoint
INSERT INTO posts (id, title) VALUES (1, 'first');
