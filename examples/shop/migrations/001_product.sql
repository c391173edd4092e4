CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL);
INSERT INTO product (name, price) VALUES ('tea', 450), ('honey', 690);
