CREATE UNIQUE INDEX product_name ON product (name);
INSERT INTO product (name, price) VALUES ('salt', 95);
