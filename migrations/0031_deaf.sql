-- Whether the way to the control plane is open shows by who comes through it. Code that does not know the column leaves it alone.
ALTER TABLE fleet ADD COLUMN deaf_since timestamptz(3);
COMMENT ON COLUMN fleet.deaf_since IS 'Since when no host at all was heard, as logged: nobody''s silence counts meanwhile. Null while any is.';
COMMENT ON COLUMN fleet.listening_since IS 'When the present leader began, or somebody was heard again after nobody was, as logged: silence counts only five heartbeats later. Null before the first that said so.';
