--! Previous: -
--! Hash: sha1:3655d8c80b36888e9aee66a821df5035824494a7
--! Message: users

CREATE TABLE users (id integer PRIMARY KEY, name varchar(100) NOT NULL);
