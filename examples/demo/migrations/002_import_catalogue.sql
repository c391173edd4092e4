-- An import that takes a moment, and that would double the catalogue if it ran twice.
INSERT INTO product (name, cents)
WITH RECURSIVE line(n) AS (
    SELECT 1
    UNION ALL
    SELECT n + 1 FROM line WHERE n < 1000000
)
SELECT printf('Part %07d', n), 100 + n % 9900 FROM line;

CREATE INDEX product_name ON product (name);
