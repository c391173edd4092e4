CREATE TABLE customer_order (
    id         INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES product (id),
    placed_at  TEXT NOT NULL
);

CREATE INDEX customer_order_product ON customer_order (produkt_id);
