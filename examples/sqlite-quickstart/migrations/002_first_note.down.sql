DELETE FROM note WHERE body = 'The schema was ready before the service was.';
