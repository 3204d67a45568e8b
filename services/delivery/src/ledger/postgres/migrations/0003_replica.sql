-- The replica that made the last attempt, by its name; null: none was made, or an older version made it, beside this one too,
-- which leaves the name of the attempt before.
ALTER TABLE delivery ADD COLUMN replica text COLLATE "C";
