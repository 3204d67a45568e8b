-- The process that made the last attempt, by its name; null: none was made, or an older version made it.
ALTER TABLE delivery ADD COLUMN replica TEXT;
