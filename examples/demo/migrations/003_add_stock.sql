ALTER TABLE product ADD COLUMN in_stock INTEGER NOT NULL DEFAULT 0;
UPDATE product SET in_stock = 1 WHERE id % 3 = 0;
