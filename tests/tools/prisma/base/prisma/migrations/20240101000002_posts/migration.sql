CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL);
CREATE TABLE hits (n integer NOT NULL);
INSERT INTO posts (id, title) VALUES (1, 'first');
