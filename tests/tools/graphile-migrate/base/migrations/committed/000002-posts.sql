--! Previous: sha1:3655d8c80b36888e9aee66a821df5035824494a7
--! Hash: sha1:0ede9b140d1dc0eb60773ff3edce63fa9b2bfb38
--! Message: posts

CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL);
CREATE TABLE hits (n integer NOT NULL);
INSERT INTO posts (id, title) VALUES (1, 'first');
