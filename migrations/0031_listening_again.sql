-- Silence counts from another moment, too: where no host at all was heard, from when the first was again.
COMMENT ON COLUMN fleet.listening_since IS 'When the present leader began, or later where no host at all was heard for a while: when the first was again; as logged. Silence counts only some minutes later. Null before the first leader that said so.';
