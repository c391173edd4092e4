CREATE TABLE visit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    path    text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);
