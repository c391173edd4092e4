INSERT INTO note (body) VALUES ('The schema was ready before the service was.');
